"""The page of `animclip serve`: a pointer that moves over a result goes through its frames."""

import re

import pytest

from animclip_jax.serving import app
from input_pipeline.media.preview import MAX_SECONDS
from input_pipeline.media.strip import FRAMES
from tests import browsing, searchable
from tests.browsing import wait_until_it_plays
from tests.served import served

pytestmark = pytest.mark.slow

MOMENT = searchable.moment("long.mp4", 1)
START, SECONDS = 25 / 3, 25 / 3
CARD = f"li[data-id='{MOMENT}'] .card"
LABEL = f'document.querySelector("{CARD} .moment").textContent'
SHOWN = f'document.querySelector("{CARD} .frames:not([hidden]) img")'
NOW = f'document.querySelector("{CARD} video")?.currentTime'


@pytest.fixture(scope="module")
def server(indexed, tmp_path_factory):
    with served(indexed, f"--previews={tmp_path_factory.mktemp('strips')}") as running:
        yield running


@pytest.fixture
def start(browser, server, request):
    """Opens the page with results. Its `strips` are those that were asked for; `cdp` touches."""
    contexts = []

    def begin(size="wide", **options):
        opened = browsing.opened(browser, server.url, size, request.node.name, **options)
        contexts.append(opened)
        page = opened.__enter__()
        page.strips = []
        page.cdp = page.context.new_cdp_session(page)
        page.on("request", lambda one: page.strips.extend([one.url] * ("/strip/" in one.url)))
        # It is the best of its scene then, and stands for it.
        page.goto(f"{server.url}/?like={MOMENT}")
        page.locator(CARD).scroll_into_view_if_needed()
        return page

    yield begin
    for one in contexts:
        one.__exit__(None, None, None)


def spot(page, share):
    box = page.locator(f"{CARD} .screen").bounding_box()
    return box["x"] + share * box["width"], box["y"] + box["height"] / 2


def frame(page):
    """The number of the frame that is shown."""
    return round(-float(page.evaluate(f"{SHOWN}.style.left").rstrip("%")) / 100)


def wait_for_frames(page):
    """They are loaded, and shown from the next movement on at the latest."""
    page.wait_for_function(f'() => document.querySelector("{CARD} .frames img")?.naturalWidth > 0')


def hover(page, share):
    """Stays long enough to be meant, then moves a bit."""
    page.mouse.move(*spot(page, share))
    page.wait_for_timeout(250)
    x, y = spot(page, share)
    page.mouse.move(x + 12, y)
    page.mouse.move(x, y)


@pytest.mark.parametrize("size", browsing.SIZES)
def test_a_moving_mouse_goes_through_the_frames(start, size):
    page = start(size)
    page.wait_for_timeout(300)
    assert page.strips == [], "nothing is loaded before the pointer comes"
    span = page.evaluate(LABEL)
    hover(page, 0.1)
    wait_for_frames(page)
    for share in (0.3, 0.6, 0.9):
        page.mouse.move(*spot(page, share))
        assert frame(page) == int(share * FRAMES)
        minutes, _, seconds = page.evaluate(LABEL).partition(":")
        time = 60 * int(minutes) + float(seconds)
        assert time == pytest.approx(START + share * SECONDS, abs=0.2)
    assert page.strips == [f"{page.url.partition('/?')[0]}/strip/{MOMENT}"], "once"
    page.mouse.move(0, 0)
    page.wait_for_selector(f"{CARD} .frames", state="detached")
    assert page.evaluate(LABEL) == span


def test_where_the_mouse_rests_it_plays_from_there(start):
    page = start()
    hover(page, 0.2)
    wait_for_frames(page)
    page.mouse.move(*spot(page, 0.8))
    wait_until_it_plays(page, f"{CARD} video")
    assert page.evaluate(NOW) > START + 0.7 * SECONDS
    again = f"() => {NOW} > {START} && {NOW} < {START + 0.5 * SECONDS}"
    page.wait_for_function(again)
    page.mouse.move(*spot(page, 0.4))
    page.wait_for_selector(f"{CARD} video", state="detached")
    assert frame(page) == int(0.4 * FRAMES)


def test_a_mouse_that_passes_loads_nothing(start):
    page = start()
    crossed = """([places, name]) => {
      const button = document.querySelector(name);
      const tell = (kind, [clientX, clientY]) => button.dispatchEvent(
        new PointerEvent(`pointer${kind}`, { clientX, clientY, pointerType: "mouse" }));
      tell("enter", places[0]);
      for (const place of places) tell("move", place);
      const begun = button.querySelectorAll(".frames").length;
      tell("leave", [0, 0]);
      return begun;
    }"""
    # At once, however slow the machine is.
    assert page.evaluate(crossed, [[spot(page, share) for share in (0.1, 0.5, 0.9)], CARD]) == 0
    page.wait_for_timeout(500)
    assert page.strips == [] and page.locator("video").count() == 0


def touch(page, kind, place=None):
    points = [] if place is None else [{"x": place[0], "y": place[1]}]
    page.cdp.send("Input.dispatchTouchEvent", {"type": f"touch{kind}", "touchPoints": points})


def drag(page, shares):
    touch(page, "Start", spot(page, shares[0]))
    for share in shares:
        touch(page, "Move", spot(page, share))
        page.wait_for_timeout(50)


def test_a_finger_drags_through_the_frames(start):
    page = start("narrow", has_touch=True)
    drag(page, [n / 20 for n in range(2, 12)])
    wait_for_frames(page)
    touch(page, "Move", spot(page, 0.75))
    page.wait_for_function(f"() => {SHOWN}.style.left === '{-100 * int(0.75 * FRAMES)}%'")
    assert page.locator("video").count() == 0
    touch(page, "End")
    wait_until_it_plays(page, f"{CARD} video")
    assert page.evaluate(NOW) > START + 0.7 * SECONDS
    page.locator(CARD).tap()
    page.wait_for_selector(f"{CARD} video", state="detached")
    page.locator(CARD).tap()
    wait_until_it_plays(page, f"{CARD} video")


def test_a_finger_that_scrolls_starts_nothing(start):
    page = start("narrow", has_touch=True)
    before = page.evaluate("scrollY")
    x, y = spot(page, 0.5)
    touch(page, "Start", (x, y))
    for number in range(1, 12):
        touch(page, "Move", (x, y + 12 * number * (1 if before else -1)))
        page.wait_for_timeout(20)
    touch(page, "End")
    page.wait_for_function(f"() => scrollY !== {before}")
    page.wait_for_timeout(300)
    assert page.strips == [] and page.locator("video").count() == 0


def test_who_wants_less_motion_sees_it_when_it_is_meant(start):
    page = start(reduced_motion="reduce")
    hover(page, 0.2)
    page.mouse.move(*spot(page, 0.8))
    page.wait_for_timeout(900)
    assert page.strips == [] and page.locator("video").count() == 0
    page.mouse.down()
    page.mouse.move(*spot(page, 0.3))
    wait_for_frames(page)
    page.mouse.move(*spot(page, 0.55))
    assert frame(page) == int(0.55 * FRAMES)
    page.mouse.up()
    page.wait_for_timeout(300)
    assert page.locator("video").count() == 0, "the end of a drag is no click"
    page.mouse.click(*spot(page, 0.55))
    wait_until_it_plays(page, f"{CARD} video")


def test_without_a_strip_it_plays_as_before(start):
    page = start()
    page.route("**/strip/*", lambda route: route.fulfill(status=507, json={"error": "no room"}))
    hover(page, 0.2)
    wait_until_it_plays(page, f"{CARD} video")
    page.mouse.move(*spot(page, 0.8))
    page.wait_for_timeout(300)
    assert len(page.strips) == 1 and page.evaluate(f"{SHOWN}") is None
    assert page.evaluate(NOW) is not None


def test_the_page_knows_the_strips_that_the_server_makes():
    told = (app.HERE / "hovering.js").read_text()
    assert re.search(r"FRAMES = (\d+);", told)[1] == str(FRAMES)  # type: ignore[index]
    assert re.search(r"LONGEST_SECONDS = (\d+);", told)[1] == f"{MAX_SECONDS:g}"  # type: ignore[index]
    assert f"width: {100 * FRAMES}%" in (app.HERE / "page.css").read_text()
