"""Where pixels differ between us and other software, measured on pictures and videos made here.

    python -m benchmarks.pixels [--browser /usr/bin/chromium] [--json FILE]

The column of transformers needs that package (the extra `parity`), that of Chromium a browser;
without them they are left out.
"""

from __future__ import annotations

import argparse
import io
import os
import subprocess
import tempfile
import time
from importlib import metadata
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import av
import numpy as np
import tensorflow as tf
from PIL import Image

from animclip_jax import files
from input_pipeline.filming import decoding
from input_pipeline.media import picture, video

# (width, height) of pictures and videos that people have.
SIZES = (
    *((320, 240), (352, 288), (480, 360), (500, 333), (500, 334), (500, 375), (640, 272)),
    *((640, 352), (640, 360), (640, 426), (640, 427), (640, 480), (1280, 720), (1920, 1080)),
)
SIDES = (224, 336)
# BT.709's red as Y, Cb, Cr in limited range.
RED = (63, 102, 240)
ALPHA = {
    "ProRes 4444 (.mov)": ("prores_ks", "yuva444p10le", ".mov"),
    "PNG (.mov)": ("png", "rgba", ".mov"),
    "VP9 with alpha (.webm)": ("libvpx-vp9", "yuva420p", ".webm"),
}
PACKAGES = ("av", "pillow", "tensorflow-cpu", "numpy", "transformers")


def main(argv: list[str] | None = None) -> int:
    """Prints tables; writes the figures as JSON too where --json is given."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, help="also write the figures into this file")
    parser.add_argument("--browser", help="a Chromium, to see the colours that it shows")
    options = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(Path(folder), options.browser)
    for title, rows in figures.items():
        print(f"\n{title}\n")
        print_table(rows)
    if options.json:
        files.write_json(options.json, figures, indent=2)
    return 0


def measure(folder: Path, browser: str | None = None) -> dict[str, list[dict[str, Any]]]:
    """Every table, as rows of named cells."""
    return {
        "versions": [_versions(browser)],
        "centre crop": [crop for size in SIZES for crop in crops(*size)],
        "JPEG by TensorFlow beside Pillow": [*jpeg_differences()],
        "JPEG, a region": [*jpeg_region()],
        "colour": [*colours(folder, browser)],
        "alpha": [*alphas(folder)],
    }


def crops(width: int, height: int) -> list[dict[str, Any]]:
    """Where the centre crop begins on the longer side, of sizes where rounding decides."""
    rows = []
    for side in SIDES:
        left_out = int(side * max(width, height) / min(width, height)) - side
        row = {
            "size": f"{width} x {height}",
            "crop": side,
            "left out": left_out,
            "ours (OpenAI's)": _crop_of(picture.fit, width, height, side),
        }
        processor = _transformers(side)
        if processor:
            row["transformers"] = _crop_of(processor, width, height, side)
        if left_out % 4 == 3:
            rows.append(row)
    return rows


def jpeg_differences() -> list[dict[str, Any]]:
    """TensorFlow's pixels less Pillow's, by its default transform and by the one that we take."""
    encoded = _jpeg(600, 800)
    wanted = picture.pixels(encoded).astype(int)
    rows = []
    for transform in ("INTEGER_FAST", "INTEGER_ACCURATE"):
        made = tf.image.decode_jpeg(encoded, channels=3, dct_method=transform).numpy()
        red, green, blue = (round(float(mean), 2) for mean in (made - wanted).mean(axis=(0, 1)))
        largest = int(np.abs(made - wanted).max())
        row = {"dct_method": transform, "red": red, "green": green, "blue": blue}
        rows.append(row | {"largest": largest})
    return rows


def jpeg_region(repeats: int = 10) -> list[dict[str, Any]]:
    """CPU time of decoding the top left 64 x 64 pixels of a JPEG, and of one with a byte more."""
    encoded, region = _jpeg(1500, 2000), tf.constant([0, 0, 64, 64], tf.int32)
    size = tf.constant([1500, 2000])
    rows = []
    for name, behind in (("as it is", b""), ("with one byte after its end", b"\n")):
        decoding.decode_region(encoded + behind, region, size)
        began = time.process_time()
        for _ in range(repeats):
            decoding.decode_region(encoded + behind, region, size)
        spent = (time.process_time() - began) / repeats
        rows.append({"file": name, "CPU ms": round(1000 * spent, 1)})
    return rows


def colours(folder: Path, browser: str | None = None) -> list[dict[str, Any]]:
    """What comes of BT.709's red, tagged and not, and of white in limited range."""
    white8, white10 = (235, 128, 128), (940, 512, 512)
    videos = {
        f"red, {height} rows, {'tagged BT.709' if tag else 'untagged'}": (
            "yuv420p",
            height,
            RED,
            tag,
        )
        for height in (480, 720)
        for tag in ("bt709", None)
    }
    videos["white of 8 bits, limited range"] = ("yuv420p", 480, white8, "bt709")
    videos["white of 10 bits, limited range"] = ("yuv420p10le", 480, white10, "bt709")
    rows = []
    for name, kinds in videos.items():
        path = _encoded(folder, *kinds)
        row = {"video": name, "read by us": _middle(path)}
        rows.append(row | ({"shown by Chromium": _shown(browser, path)} if browser else {}))
    return rows


def alphas(folder: Path) -> list[dict[str, Any]]:
    """What is shown where a video is wholly transparent, with green hidden below."""
    pixels = np.zeros((64, 64, 4), np.uint8)
    pixels[..., 1] = 200
    rows = []
    for name, (codec, kind, suffix) in ALPHA.items():
        frame = av.VideoFrame.from_ndarray(pixels, format="rgba").reformat(format=kind)
        path = folder / f"alpha{suffix}"
        _write(path, codec, frame, {})
        rows.append({"video": name, "shown": _middle(path)})
    return rows


def print_table(rows: list[dict[str, Any]]) -> None:
    """Rows of named cells as a Markdown table; a cell that a row lacks is empty."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    print("| " + " | ".join(names) + " |\n|" + " --- |" * len(names))
    for row in rows:
        print("| " + " | ".join(str(row.get(name, "")) for name in names) + " |")


def _versions(browser: str | None) -> dict[str, str]:
    found = {}
    if browser:
        said = subprocess.run([browser, "--version"], capture_output=True, text=True, check=True)
        found["browser"] = " ".join(said.stdout.split()[:2])
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found | {"FFmpeg": av.ffmpeg_version_info}


def _transformers(side: int) -> Any:
    """transformers' preprocessing of a picture uint8 [H, W, 3], or None without that package."""
    try:
        import transformers
    except ImportError:
        return None
    kind = getattr(transformers, "CLIPImageProcessorPil", transformers.CLIPImageProcessor)
    found = kind(size={"shortest_edge": side}, crop_size={"height": side, "width": side})

    def processed(pixels: np.ndarray, _: int) -> np.ndarray:
        made = found(images=Image.fromarray(pixels), return_tensors="np")["pixel_values"][0]
        return (made.transpose(1, 2, 0) * found.image_std + found.image_mean) * 255

    return processed


def _crop_of(preprocess: Any, width: int, height: int, side: int) -> int:
    """The first column of the resized picture that a preprocessing shows."""
    random = np.random.default_rng(0)
    pixels = random.integers(0, 256, (height // 8, width // 8, 3), np.uint8)
    image = Image.fromarray(pixels).resize((width, height), Image.Resampling.BICUBIC)
    resized = image.resize((int(side * width / height), side), Image.Resampling.BICUBIC)
    whole, made = np.asarray(resized, float), preprocess(np.asarray(image), side)
    places = range(whole.shape[1] - side + 1)
    return min(places, key=lambda x: np.abs(whole[:, x : x + side] - made).mean())


def _jpeg(height: int, width: int) -> bytes:
    random = np.random.default_rng(0)
    pixels = random.integers(0, 256, (height // 8, width // 8, 3), np.uint8)
    image = Image.fromarray(pixels).resize((width, height), Image.Resampling.BICUBIC)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=85)
    return buffer.getvalue()


def _encoded(
    folder: Path, kind: str, height: int, levels: tuple[int, int, int], tag: str | None
) -> Path:
    """A video of one colour, 16:9, each plane of one level."""
    frame = av.VideoFrame(height * 16 // 9 // 2 * 2, height, kind)
    size = 2 if "10" in kind else 1
    for plane, level in zip(frame.planes, levels, strict=True):
        plane.update(level.to_bytes(size, "little") * (plane.buffer_size // size))
    path = folder / f"{height}_{kind}_{tag}_{levels[0]}.mp4"
    options = {"crf": "4", "preset": "ultrafast"}
    if tag:
        options["x264-params"] = f"colorprim={tag}:transfer={tag}:colormatrix={tag}"
    _write(path, "libx264", frame, options)
    return path


def _write(path: Path, codec: str, frame: av.VideoFrame, options: dict[str, str]) -> None:
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(codec, rate=8, options=options)
        stream.width, stream.height = frame.width, frame.height
        stream.pix_fmt = frame.format.name
        for _ in range(16):
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def _shown(browser: str, path: Path) -> str:
    """The colour that a browser without a window paints of a video in a page."""
    page, screen = path.with_suffix(".html"), path.with_suffix(".png")
    page.write_text(
        f"<body style='margin:0'><video src='{path.name}' autoplay muted loop width=64 height=64>"
    )
    flags = ("--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=3000")
    subprocess.run(
        [browser, *flags, "--window-size=64,64", f"--screenshot={screen}", page.as_uri()],
        capture_output=True,
        check=True,
        timeout=120,
    )
    with Image.open(screen) as image:
        colour: Any = image.convert("RGB").getpixel((32, 32))
    return " ".join(map(str, colour))


def _middle(path: Path) -> str:
    """The colour in the middle of a video's frame."""
    frame = video.read_frames(path, 1)[0]
    return " ".join(map(str, frame[frame.shape[0] // 2, frame.shape[1] // 2].tolist()))


if __name__ == "__main__":
    raise SystemExit(main())
