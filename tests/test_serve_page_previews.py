"""The page of `animclip serve` plays what browsers can't: by previews, at the video's own times."""

import urllib.parse
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests import films, searchable
from tests.browsing import search, wait_until_it_plays
from tests.clocks import MPEG4, TENTH
from tests.served import served

pytestmark = pytest.mark.slow

SECONDS = 12
SHOWN = "document.querySelector('.card video')"


@pytest.fixture(scope="module")
def home(tmp_path_factory, search_model, search_model_path) -> Path:
    """An index of videos that Chromium can't play, and of one that it can."""
    home = tmp_path_factory.mktemp("odd")
    (home / "videos").mkdir()
    times = [n / 10 for n in range(10 * SECONDS)]
    pictures = np.concatenate([searchable.shot(searchable.GREY, 10 * SECONDS)])
    kinds: dict[str, dict[str, Any]] = {
        "camera.avi": {"codec": MPEG4, "unit": TENTH},
        "tv.ts": {"unit": films.TS},
        "film.mkv": {"codec": "libx265"},
        # Chromium plays its sound alone.
        "phone.mp4": {"codec": MPEG4, "sound": (0, SECONDS)},
        "plain.mp4": {},
    }
    for name, how in kinds.items():
        films.write_film(home / "videos" / name, times, pictures, **how)
    searchable.index(home / "videos", home / "index", search_model, search_model_path)
    return home


@pytest.fixture(scope="module")
def server(home):
    with served(home / "index", f"--previews={home / 'previews'}") as running:
        yield running


@pytest.fixture
def page(page):
    search(page)
    return page


def wait_until_its_clock_is_in(page, start, end):
    now = f"{SHOWN}.currentTime"
    page.wait_for_function(f"() => {now} > {start} && {now} < {end}")


def previews(home: Path) -> int:
    return len([*(home / "previews").glob("*.mp4")])


@pytest.mark.parametrize("name", ["camera.avi", "tv.ts", "film.mkv", "phone.mp4"])
def test_what_the_browser_can_not_play_plays_by_a_preview(page, name):
    page.goto(urllib.parse.urljoin(page.url, f"/?like={searchable.moment(name, 1)}"))
    card = page.locator(f"li[data-id='{searchable.moment(name, 1)}'] .card")
    assert "can't play" not in card.inner_text()
    card.hover()
    wait_until_it_plays(page)
    assert "/preview/" in page.evaluate(f"{SHOWN}.src")
    wait_until_its_clock_is_in(page, 6.2, 12)
    assert page.locator(".failed").count() == 0
    page.evaluate(f"{SHOWN}.currentTime = 11.9")
    wait_until_its_clock_is_in(page, 6, 8)
    page.mouse.move(0, 0)
    page.wait_for_selector(".card video", state="detached")
    card.focus()
    page.keyboard.press("Enter")
    wait_until_it_plays(page)
    page.keyboard.press("Escape")
    page.wait_for_selector(".card video", state="detached")


@pytest.mark.parametrize("number, seconds", [(0, 4), (1, 10)])
@pytest.mark.parametrize("name", ["tv.ts", "phone.mp4"])
def test_the_timeline_seeks_in_a_preview(page, name, number, seconds):
    one = searchable.moment(name, number)
    page.goto(urllib.parse.urljoin(page.url, f"/?like={one}"))
    page.locator(f"li[data-id='{one}'] .open").click()
    wait_until_it_plays(page, "#detail video")
    # Playing on would reach the place, too: where a seek lands counts.
    page.evaluate(
        """(seconds) => {
          window.landed = [];
          const note = (event) => landed.push(event.target.currentTime);
          document.addEventListener("seeked", note, true);
          slider.value = seconds;
          slider.dispatchEvent(new Event("input", { bubbles: true }));
        }""",
        seconds,
    )
    page.wait_for_function(f"() => landed.some((at) => Math.abs(at - {seconds}) < 0.5)")


def test_what_the_browser_plays_has_no_preview_made(page, home):
    before = previews(home)
    page.locator(".card", has_text="plain.mp4").first.hover()
    wait_until_it_plays(page)
    assert "/video/" in page.evaluate(f"{SHOWN}.src")
    assert previews(home) == before


def test_a_video_that_turns_out_not_to_play_is_shown_by_its_preview(page, home):
    """The index may know no codec, and a browser may lack one."""
    page.route(
        "**/video/*", lambda route: route.fulfill(body=b"no video", content_type="video/mp4")
    )
    page.locator(".card", has_text="plain.mp4").first.hover()
    page.wait_for_function(f"() => {SHOWN}?.src.includes('/preview/')")
    wait_until_it_plays(page)


def test_why_there_is_no_preview_is_said(page):
    told = '{"error": "no room: No space left on device"}'
    page.route(
        "**/preview/*",
        lambda route: route.fulfill(status=507, body=told, content_type="application/json"),
    )
    card = page.locator(".card", has_text="camera.avi").first
    card.hover()
    said = card.locator(".failed", has_text="No space left")
    said.wait_for()
    assert page.locator(".card video").count() == 0
    page.mouse.move(0, 0)
    said.wait_for(state="detached")


def test_a_preview_that_nobody_waits_for_is_given_up(page):
    page.evaluate("""() => {
      window.aborted = 0;
      const ask = window.fetch;
      window.fetch = (address, options) => {
        options?.signal?.addEventListener("abort", () => { aborted += 1; });
        return ask("/none", options).then(() => new Promise(() => {}));
      };
    }""")
    card = page.locator(".card", has_text="camera.avi").first
    card.hover()
    card.locator(".failed", has_text="Making a preview").wait_for()
    page.mouse.move(0, 0)
    page.wait_for_function("() => window.aborted === 1")
    assert page.locator(".failed").count() == 0
