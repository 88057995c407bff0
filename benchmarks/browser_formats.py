"""Which containers and codecs a browser plays: the table of docs/search.md, measured.

    pip install playwright
    python -m benchmarks.browser_formats --browser /usr/bin/chromium

Writes a small video of each pair, lets a headless browser play it from a server with byte ranges,
and asks: is there a picture, does time pass, and does a seek to the middle land?
"""

import argparse
import os
import shutil
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import av
import numpy as np
import uvicorn
from starlette.applications import Starlette
from starlette.responses import FileResponse, HTMLResponse
from starlette.routing import Route

from animclip_jax.serving.playable import media_type

SECONDS, FPS, WIDTH, HEIGHT = 4, 10, 320, 192
FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
)
# By the name that FFmpeg gives the codec in the file: the encoder and its pixels.
ENCODERS = {
    "h264": ("libx264", "yuv420p"),
    "h264 10 bit": ("libx264", "yuv420p10le"),
    "h264 4:4:4": ("libx264", "yuv444p"),
    "hevc": ("libx265", "yuv420p"),
    "av1": ("libsvtav1", "yuv420p"),
    "vp8": ("libvpx", "yuv420p"),
    "vp9": ("libvpx-vp9", "yuv420p"),
    "mpeg4": ("mpeg4", "yuv420p"),
    "msmpeg4v3": ("msmpeg4", "yuv420p"),
    "mpeg2video": ("mpeg2video", "yuv420p"),
    "mpeg1video": ("mpeg1video", "yuv420p"),
    "mjpeg": ("mjpeg", "yuvj420p"),
    "prores": ("prores_ks", "yuv422p10le"),
    "ffv1": ("ffv1", "yuv420p"),
    "h263": ("h263", "yuv420p"),
    "flv1": ("flv", "yuv420p"),
    "wmv2": ("wmv2", "yuv420p"),
    "dvvideo": ("dvvideo", "yuv420p"),
    "gif": ("gif", "rgb8"),
}
# By suffix: the muxer and the codecs that are found in such files.
CONTAINERS = {
    ".mp4": ("mp4", ("h264", "h264 10 bit", "h264 4:4:4", "hevc", "av1", "vp9", "mpeg4", "mjpeg")),
    ".m4v": ("mp4", ("h264", "hevc", "mpeg4")),
    ".mov": ("mov", ("h264", "hevc", "mpeg4", "mjpeg", "prores")),
    ".qt": ("mov", ("h264", "mjpeg")),
    ".3gp": ("3gp", ("h264", "h263", "mpeg4")),
    ".3g2": ("3g2", ("h264",)),
    ".f4v": ("f4v", ("h264",)),
    ".webm": ("webm", ("vp8", "vp9", "av1")),
    ".mkv": ("matroska", ("h264", "hevc", "av1", "vp8", "vp9", "mpeg4", "mpeg2video", "ffv1")),
    ".ogv": ("ogg", ("vp8",)),
    ".ogg": ("ogg", ("vp8",)),
    ".avi": ("avi", ("h264", "mpeg4", "msmpeg4v3", "mjpeg")),
    ".ts": ("mpegts", ("h264", "hevc", "mpeg2video")),
    ".mpg": ("vob", ("mpeg1video", "mpeg2video")),
    ".wmv": ("asf", ("wmv2",)),
    ".flv": ("flv", ("flv1", "h264")),
    ".mxf": ("mxf", ("mpeg2video",)),
    ".dv": ("dv", ("dvvideo",)),
    ".ivf": ("ivf", ("vp8", "av1")),
    ".h264": ("h264", ("h264",)),
    ".mjpeg": ("mjpeg", ("mjpeg",)),
    ".nut": ("nut", ("h264",)),
    ".gif": ("gif", ("gif",)),
}
# Loads a video, plays it, and seeks to its middle. The outcome: "plays", a word more, or "-".
ASK = """async ({url, middle, patience}) => {
  const player = document.createElement(url.endsWith(".gif") ? "img" : "video");
  const wait = (event) => new Promise((done) => {
    player.addEventListener(event, () => done(true), { once: true });
    player.addEventListener("error", () => done(false), { once: true });
    setTimeout(() => done(false), patience);
  });
  player.muted = true;
  const loaded = wait(player.tagName === "IMG" ? "load" : "loadeddata");
  player.src = url;
  document.body.replaceChildren(player);
  if (!await loaded) return "-";
  if (player.tagName === "IMG") return player.naturalWidth ? "plays" : "-";
  if (!player.videoWidth) return "-";
  player.play().catch(() => {});
  const passes = new Promise((done) => {
    const look = setInterval(() => { if (player.currentTime > 0.3) done(true); }, 50);
    setTimeout(() => { clearInterval(look); done(false); }, patience);
  });
  if (!await passes) return "-";
  const sought = wait("seeked");
  player.currentTime = middle;
  const lands = await sought && Math.abs(player.currentTime - middle) < 0.6;
  return lands ? "plays" : "plays, can't seek";
}"""


def write(path: Path, container: str, codec: str) -> None:
    """A video whose picture moves; a size that each of the codecs knows."""
    encoder, pixels = ENCODERS[codec]
    width, height, fps = WIDTH, HEIGHT, FPS
    if codec in ("h263", "dvvideo"):
        width, height = {"h263": (352, 288), "dvvideo": (720, 576)}[codec]
    if codec in ("dvvideo", "mpeg1video", "mpeg2video"):
        fps = 25
    with av.open(str(path), "w", format=container) as out:
        stream: Any = out.add_stream(encoder, rate=fps)
        stream.width, stream.height, stream.pix_fmt = width, height, pixels
        stream.bit_rate = 400_000
        if codec == "hevc":
            stream.options = {"x265-params": "log-level=none"}
        if codec in ("mpeg4", "hevc") and container in ("mp4", "mov"):
            stream.codec_context.codec_tag = {"mpeg4": "mp4v", "hevc": "hvc1"}[codec]
        for number in range(SECONDS * fps):
            picture = np.full((height, width, 3), 40, np.uint8)
            picture[:, 4 * number % width :][:, :40] = (200, 120, 60)
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            out.mux(stream.encode(frame.reformat(format=pixels)))
        out.mux(stream.encode(None))


def serve(folder: Path) -> tuple[uvicorn.Server, str]:
    """A server of a folder's files with the types that `animclip serve` gives them."""

    def file(request: Any) -> FileResponse:
        name = request.path_params["name"]
        return FileResponse(folder / name, media_type=media_type(name))

    page = '<!doctype html><link rel="icon" href="data:,">'
    pages = [Route("/", lambda request: HTMLResponse(page)), Route("/{name}", file)]
    server = uvicorn.Server(uvicorn.Config(Starlette(routes=pages), port=0, log_level="error"))
    threading.Thread(target=server.run, daemon=True).start()
    while not server.started:
        time.sleep(0.05)
    return server, f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"


def measure(browser: str, folder: Path, patience: float) -> tuple[str, dict[tuple[str, str], str]]:
    """The browser's version, and what came of each suffix and codec."""
    from playwright.sync_api import sync_playwright

    found = {}
    server, address = serve(folder)
    with sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=browser, args=list(FLAGS))
        page = started.new_page()
        page.goto(address)
        for suffix, (container, codecs) in CONTAINERS.items():
            for codec in codecs:
                name = f"{codec.replace(' ', '_').replace(':', '')}{suffix}"
                write(folder / name, container, codec)
                asked = {
                    "url": f"/{name}",
                    "middle": SECONDS / 2,
                    "patience": round(1000 * patience),
                }
                found[suffix, codec] = page.evaluate(ASK, asked)
        version = started.version
        started.close()
    server.should_exit = True
    return version, found


def table(version: str, found: dict[tuple[str, str], str]) -> str:
    """Markdown: a container a row."""
    lines = [f"| Chromium {version} | plays | does not |", "| --- | --- | --- |"]
    for suffix in dict.fromkeys(suffix for suffix, _ in found):
        cells: dict[bool, list[str]] = {True: [], False: []}
        for (of, codec), outcome in found.items():
            if of == suffix:
                told = codec if outcome in ("plays", "-") else f"{codec} ({outcome})"
                cells[outcome != "-"].append(told)
        lines.append(f"| {suffix} | {', '.join(cells[True])} | {', '.join(cells[False])} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--browser", default=shutil.which("chromium"), help="its program")
    parser.add_argument("--patience", type=float, default=6, help="seconds for each step (6)")
    options = parser.parse_args()
    if not options.browser:
        parser.error("--browser: no chromium on the path")
    os.environ["SVT_LOG"] = "1"  # Errors alone.
    with tempfile.TemporaryDirectory() as folder:
        print(table(*measure(options.browser, Path(folder), options.patience)))


if __name__ == "__main__":
    main()
