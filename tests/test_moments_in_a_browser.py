"""The times of segments are those that a browser's player shows, to a frame.

What the browser can't play is asked of its preview, as the page does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from animclip_jax.serving.playable import plays
from input_pipeline.media import preview
from input_pipeline.media.clip import Clip
from input_pipeline.media.container import packet_timing
from tests import browsing, clocks, films
from tests.clocks import LATE, NOW

pytestmark = pytest.mark.slow

FRAME = 0.1  # seconds
# For each time: the player's clock where it seeks to it, that of the frame on screen there, and how
# bright this is. Null if it does not play.
ASK = """async ({address, times}) => {
  const player = document.createElement("video");
  const happens = (event) => new Promise((done) => {
    player.addEventListener(event, () => done(true), { once: true });
    player.addEventListener("error", () => done(false), { once: true });
    setTimeout(() => done(false), 5000);
  });
  player.muted = true;
  player.preload = "auto";
  const loaded = happens("loadeddata");
  player.src = address;
  document.body.replaceChildren(player);
  if (!await loaded || !player.videoWidth) return null;
  const canvas = new OffscreenCanvas(player.videoWidth, player.videoHeight).getContext("2d");
  const found = [];
  for (const time of times) {
    const frame = new Promise((done) => {
      player.requestVideoFrameCallback((now, told) => done(told.mediaTime));
      setTimeout(() => done(null), 5000);
    });
    const sought = happens("seeked");
    player.currentTime = time;
    await sought;
    const media = await frame;
    canvas.drawImage(player, 0, 0);
    const pixels = canvas.getImageData(0, 0, player.videoWidth, player.videoHeight).data;
    const light = pixels.filter((_, n) => n % 4 === 0).reduce((sum, one) => sum + one, 0);
    found.push([player.currentTime, media, 4 * light / pixels.length]);
  }
  return found;
}"""


class Shown(NamedTuple):
    """What a browser shows: its clock, and the number of one of `films.greys`."""

    clock: float
    number: int


@pytest.fixture
def look(browser: Any, tmp_path: Path) -> Iterator[Callable[[str, list[float]], Any]]:
    """What the browser shows of a file in tmp_path at some times; None if it does not play it."""
    with browsing.files_of(tmp_path) as address:
        page = browser.new_page()
        page.goto(address)

        def at(name: str, times: list[float]) -> list[Shown] | None:
            found = page.evaluate(ASK, {"address": f"{address}/{name}", "times": times})
            return found and [
                Shown(clock if media is None else media, round((light - 16 + 1.5) / 5))
                for clock, media, light in found
            ]

        yield at
        page.close()


def check(path: Path, look: Any, plays_itself: bool, first: int = 0) -> None:
    """Asks the browser for frames at the times where the index would let a segment begin.

    first: of `greys`, the film's first.
    """
    timing = packet_timing(path)
    frames = [*range(0, len(timing.times), 3)]
    starts = [timing.shown(timing.at(frame), frame) for frame in frames]
    # A bit later, so that the frame is there, and not the one before it.
    asked = [start + FRAME / 3 for start in starts]
    shown = look(path.name, asked)
    assert (shown is not None) is plays_itself, "as docs/search.md tells it"
    if shown is None:
        shown = []
        for frame, start, time in zip(frames, starts, asked, strict=True):
            name = f"{frame}.preview.mp4"
            (path.parent / name).write_bytes(preview.make(Clip(path, round(start, 3), start + 1)))
            shown += look(name, [time])
    found = [
        (start, one.clock, frame, one.number - first)
        for start, one, frame in zip(starts, shown, frames, strict=True)
    ]
    for start, clock, frame, number in found:
        assert frame == number and abs(clock - start) <= FRAME, found


@pytest.mark.parametrize("kind", clocks.KINDS)
def test_the_browser_shows_a_frame_when_the_index_says(
    tmp_path: Path, look: Any, kind: str
) -> None:
    path = clocks.KINDS[kind].write(tmp_path)
    check(path, look, plays(path.name, ""))


@pytest.mark.parametrize("starts", [(0, 0), (50, 0), (0, 7200)])
def test_a_joined_stream(tmp_path: Path, look: Any, starts: tuple[float, float]) -> None:
    check(clocks.joined(tmp_path, *starts), look, plays_itself=False)


def test_a_cut_by_copying(tmp_path: Path, look: Any) -> None:
    check(clocks.cut_by_copying(tmp_path), look, plays_itself=True, first=8)


@pytest.mark.parametrize(("name", "codec"), [("clip.mp4", "libx264"), ("clip.webm", clocks.VP9)])
def test_a_recording_that_slept(tmp_path: Path, look: Any, name: str, codec: str) -> None:
    times = [*NOW, *(7200 + time for time in LATE)]
    path = films.write_film(tmp_path / name, times, codec=codec)
    check(path, look, plays_itself=True)


def test_a_preview_of_hours_later_is_on_the_clock_of_its_video(tmp_path: Path, look: Any) -> None:
    times = [0.0, *(7200 + time for time in NOW)]
    path = films.write_film(tmp_path / "clip.mkv", times, codec="libx265")
    (tmp_path / "preview.mp4").write_bytes(preview.make(Clip(path, 7200.5, 7202.0)))
    asked = [7200.55, 7201.25, 7201.95, 7200.85]
    shown = look("preview.mp4", asked)
    assert [one.number for one in shown] == [6, 13, 20, 9]
    for time, one in zip(asked, shown, strict=True):
        assert abs(one.clock - time) <= FRAME
