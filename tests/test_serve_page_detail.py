"""The detail view of the page of `animclip serve`: a large player and the video's timeline."""

import time
import urllib.parse

import pytest

from tests import searchable
from tests.browsing import search, wait_until_it_plays

pytestmark = pytest.mark.slow

PLAYER = "#detail video"
NOW = f"document.querySelector('{PLAYER}').currentTime"


@pytest.fixture
def browser_options():
    return {"has_touch": True}


def opened(page, number):
    moment = searchable.moment("long.mp4", number)
    # It is the best of its scene then, and stands for it.
    page.goto(urllib.parse.urljoin(page.url, f"/?like={moment}"))
    page.locator(f"li[data-id='{moment}'] .open").click()
    page.wait_for_selector("#detail[open] .best button")
    return moment


def test_a_result_opens_at_large_with_sound_and_controls(page):
    moment = opened(page, 1)
    wait_until_it_plays(page, PLAYER)
    video = page.locator(PLAYER)
    assert video.evaluate("one => one.controls && !one.muted")
    assert f"moment={moment}" in page.url and page.text_content("#detail h2") == "long.mp4"
    assert page.locator("#detail .bars span").count() == 3
    assert page.locator("#detail .best button").count() == 3


def test_a_moment_is_picked_by_keys_and_by_touch(page):
    opened(page, 1)
    wait_until_it_plays(page, PLAYER)
    page.focus("#slider")
    page.keyboard.press("ArrowRight")
    page.wait_for_function(f"() => {NOW} > 16 && {NOW} < 25")
    assert searchable.moment("long.mp4", 2) in page.url
    assert "similarity" in page.get_attribute("#slider", "aria-valuetext")
    first = searchable.moment("long.mp4", 0)
    page.locator(f"#detail .best button[data-id='{first}']").tap()
    page.wait_for_function(f"() => {NOW} < 8")
    page.touchscreen.tap(*middle(page, "#slider"))
    page.wait_for_function(f"() => {NOW} > 8 && {NOW} < 17")
    assert searchable.moment("long.mp4", 1) in page.url


def middle(page, selector):
    box = page.locator(selector).bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def test_escape_closes_and_the_focus_returns(page):
    moment = opened(page, 1)
    page.keyboard.press("Escape")
    page.wait_for_selector("#detail", state="hidden")
    assert "moment=" not in page.url
    focused = "document.activeElement.closest('li')?.dataset.id"
    page.wait_for_function(f"() => {focused} === '{moment}'")
    page.keyboard.press("o")
    page.wait_for_selector("#detail[open] .best button")
    page.go_back()
    page.wait_for_selector("#detail", state="hidden")
    page.go_forward()
    page.wait_for_selector("#detail[open] .best button")


def test_escape_closes_it_also_when_the_browser_asks_nobody(page):
    """As it does where nothing was pressed or clicked since it opened."""
    moment = opened(page, 1)
    # Playwright's own waiting counts as a click.
    told = page.context.new_cdp_session(page)

    def ask(expression):
        return told.send("Runtime.evaluate", {"expression": expression})["result"].get("value")

    def wait_until(expression):
        deadline = time.monotonic() + 30
        while not ask(expression):
            assert time.monotonic() < deadline, expression
            time.sleep(0.05)

    page.evaluate(
        "document.querySelector('#detail')"
        ".addEventListener('cancel', (event) => { window.asks = event.cancelable; })"
    )
    page.keyboard.press("Escape")
    wait_until("!document.querySelector('#detail').open && !location.search.includes('moment')")
    ask("history.forward()")
    wait_until("document.querySelector('#detail[open] .best button') !== null")
    page.keyboard.press("Escape")
    wait_until("!location.search.includes('moment')")
    wait_until(f"!document.querySelector('{PLAYER}')")
    assert ask("window.asks") is False
    page.locator(f"li[data-id='{moment}'] .open").click()
    page.wait_for_selector("#detail[open] .best button")


def test_its_address_opens_it_with_its_query(page):
    moment = opened(page, 1)
    page.reload()
    page.wait_for_selector("#detail[open] .best button")
    page.wait_for_selector(".card", state="attached")
    page.click("#detail .close")
    page.wait_for_selector("#detail", state="hidden")
    assert page.url.endswith(f"/?like={moment}")


def test_one_goes_on_to_the_next_result(page):
    search(page)
    ids = page.locator("#results li").evaluate_all("some => some.map(one => one.dataset.id)")
    page.locator("#results li .open").first.click()
    page.wait_for_function("() => document.querySelector('#detail .previous').disabled")
    page.click("#detail .next")
    page.wait_for_function(f"() => location.search.includes('{ids[1]}')")
    page.keyboard.press("n")
    page.wait_for_function(f"() => location.search.includes('{ids[2]}')")
    page.keyboard.press("p")
    page.wait_for_function(f"() => location.search.includes('{ids[1]}')")


def test_a_timeline_scores_every_segment_of_its_video(server):
    moment = searchable.moment("long.mp4", 1)
    told = server.ask(f"/api/timeline/{moment}?q=a+white+block").json
    found = server.ask("/api/search?q=a+white+block").json["results"]
    long = next(one for one in found if one["video"] == "long.mp4")
    wanted = {one["id"]: one["score"] for one in long["segments"]}
    assert told["video"] == "long.mp4" and len(told["segments"]) == 3
    assert [one["start"] for one in told["segments"]] == sorted(
        one["start"] for one in told["segments"]
    )
    for one in told["segments"]:
        assert one["coarse"] == pytest.approx(wanted[one["id"]], abs=1e-4)
    assert server.ask(f"/api/timeline/{searchable.moment('none.mp4')}?q=a").status == 404
    assert server.ask(f"/api/timeline/{moment}").status == 400
