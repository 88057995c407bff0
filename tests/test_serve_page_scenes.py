"""Results of the page of `animclip serve` that stand for several moments of one scene."""

import pytest

from tests import searchable
from tests.browsing import search

pytestmark = pytest.mark.slow

LONG = [searchable.moment("long.mp4", number) for number in range(3)]
FOUND = "[...document.querySelectorAll('#detail .bars span')].map(one => one.matches('.found'))"


@pytest.fixture
def page(page):
    page.route("**/api/search*", grouped)
    return page


def grouped(route):
    """The answer as if of the three segments of long.mp4 the second had not been found."""
    told = route.fetch().json()
    scene = next(one for one in told["results"] if one["video"] == "long.mp4")
    del scene["segments"][1]
    scene["id"] = LONG[2]
    route.fulfill(json=told)


def test_a_scene_is_shown_with_its_span(page):
    search(page)
    cards = page.locator("#results li")
    assert cards.count() == 6 and page.text_content("#status [role=status]") == "6 results"
    scene = page.locator(f"li[data-id='{LONG[2]}']")
    assert scene.locator(".moment").text_content() == "2 moments in 0:00.0 – 0:25.0"
    others = page.locator(".moment").all_text_contents()
    assert sum("moments" in text for text in others) == 1
    page.click("#view label:has-text('Videos')")
    pick = page.locator(f"li[data-id='{LONG[2]}'] .pick")
    assert pick.locator(".moment").text_content() == "0:00.0 – 0:25.0"


def test_the_timeline_marks_the_scene_and_what_was_found_of_it(page):
    search(page)
    page.locator(f"li[data-id='{LONG[2]}'] .open").click()
    page.wait_for_selector("#detail[open] .best button")
    assert page.evaluate(FOUND) == [True, False, True]
    share = "document.querySelector('#detail .scene').style"
    assert page.evaluate(f"[{share}.left, {share}.width]") == ["0%", "100%"]
    assert "scene 0:00.0 – 0:25.0, 2 moments found" in page.text_content("#detail .told")
    page.locator(f"#detail .best button[data-id='{LONG[0]}']").click()
    assert page.evaluate(FOUND) == [True, False, True], "it is still that scene"
    assert page.is_disabled("#detail .next") != page.is_disabled("#detail .previous") or (
        page.is_enabled("#detail .next")
    )
    page.click("#detail .close")
    page.wait_for_selector("#detail", state="hidden")
    focused = "document.activeElement.closest('li')?.dataset.id"
    page.wait_for_function(f"() => {focused} === '{LONG[2]}'")


def test_a_moment_alone_marks_nothing(page):
    search(page)
    page.locator("#results li", has_text="red.mp4").locator(".open").click()
    page.wait_for_selector("#detail[open]")
    page.wait_for_function("() => document.querySelector('#detail .told').textContent !== ''")
    page.wait_for_selector("#detail .bars span", state="attached")
    assert page.is_hidden("#detail .scene") and page.evaluate(FOUND) == [False]
    assert "scene" not in page.text_content("#detail .told")


def test_an_address_of_a_moment_marks_its_scene_when_the_results_are_there(page, server):
    page.goto(f"{server.url}/?q=a%20white%20block&moment={LONG[2]}")
    page.wait_for_selector("#detail[open] .best button")
    page.wait_for_function(f"() => {FOUND}.join() === 'true,false,true'")
