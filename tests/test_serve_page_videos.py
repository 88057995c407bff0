"""The page of `animclip serve` by video: a card each, its best moments in order of time."""

import pytest

from tests import searchable
from tests.browsing import search

pytestmark = pytest.mark.slow

PICKS = "document.querySelectorAll('.pick').length"
FOCUSED = "document.activeElement.closest('#results [data-id]')?.dataset.id"
LONG = [searchable.moment("long.mp4", number) for number in range(3)]


@pytest.fixture
def browser_options():
    return {"has_touch": True}


@pytest.fixture
def page(page):
    # Of a scene that is one result there would be no other moments.
    page.route("**/api/search*", lambda route: route.continue_(url=f"{route.request.url}&group=0"))
    return page


def by_video(page):
    search(page)
    page.click("#view label:has-text('Videos')")
    page.wait_for_function(f"() => {PICKS} === 8")


def card(page, name):
    return page.locator("#results .video").filter(has=page.get_by_title(name, exact=True))


def test_each_video_has_one_card_ranked_by_its_best_moment(page):
    search(page)
    ranked = page.locator(".card").evaluate_all("cards => cards.map(card => card.title)")
    page.click("#view label:has-text('Videos')")
    page.wait_for_function(f"() => {PICKS} === 8")
    shown = page.locator(".video .name").all_text_contents()
    assert shown == list(dict.fromkeys(ranked)) and len(shown) == 5
    places = page.locator(".video h2 .place").all_text_contents()
    assert places == ["1", "2", "3", "4", "5"]
    assert page.text_content("#status [role=status]") == "8 results in 5 videos"
    assert card(page, "long.mp4").locator(".scores").text_content() == "3 moments"


def test_its_moments_stand_in_the_order_of_time(page):
    by_video(page)
    picks = card(page, "long.mp4").locator("li")
    assert picks.evaluate_all("some => some.map(one => one.dataset.id)") == LONG
    places = [int(text) for text in picks.locator(".place").all_text_contents()]
    best = card(page, "long.mp4").locator("li.first .place").text_content()
    assert int(best) == min(places) and places != sorted(places)
    loaded = "[...document.querySelectorAll('.pick img')].every(one => one.naturalWidth > 0)"
    page.wait_for_function(f"() => {loaded}")


def test_a_pick_opens_at_its_moment_by_touch_and_gets_the_focus_back(page):
    by_video(page)
    page.locator(f"li[data-id='{LONG[1]}'] .pick").tap()
    page.wait_for_selector("#detail[open] .best button")
    assert f"moment={LONG[1]}" in page.url and "view=videos" in page.url
    page.click("#detail .next")
    page.wait_for_function(f"() => location.search.includes('{LONG[2]}')")
    page.keyboard.press("Escape")
    page.wait_for_selector("#detail", state="hidden")
    page.wait_for_function(f"() => {FOCUSED} === '{LONG[2]}'")
    assert "view=videos" in page.url and "moment" not in page.url


def test_the_keyboard_goes_from_pick_to_pick(page):
    search(page)
    page.keyboard.press("ArrowDown")
    page.keyboard.press("v")
    page.wait_for_function(f"() => {PICKS} === 8")
    page.focus("#query")
    page.keyboard.press("ArrowDown")
    ids = page.locator("li[data-id]").evaluate_all("some => some.map(one => one.dataset.id)")
    assert page.evaluate(FOCUSED) == ids[0]
    for number in range(1, 8):
        page.keyboard.press("ArrowRight")
        assert page.evaluate(FOCUSED) == ids[number]
    page.keyboard.press("ArrowRight")
    assert page.evaluate(FOCUSED) == ids[-1]
    tops = "some => some.map(one => Math.round(one.getBoundingClientRect().top))"
    rows = len(set(page.locator(".pick").evaluate_all(tops)))
    for _ in range(rows - 1):
        page.keyboard.press("ArrowUp")
        assert page.evaluate(FOCUSED)
    page.keyboard.press("ArrowUp")
    assert page.evaluate("document.activeElement.id") == "query"
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.wait_for_selector("#detail[open]")
    page.keyboard.press("Escape")
    page.wait_for_selector("#detail", state="hidden")
    page.keyboard.press("o")
    page.wait_for_selector("#detail[open]")
    page.keyboard.press("Escape")
    page.wait_for_selector("#detail", state="hidden")
    page.keyboard.press("l")
    page.wait_for_function(f"() => location.search.includes('like={ids[0]}')")
    assert "view=videos" in page.url


def test_the_view_is_part_of_the_address(page, server):
    by_video(page)
    assert page.url == f"{server.url}/?q=a%20white%20block&view=videos"
    asked = []
    page.on("request", lambda one: asked.append(one.url))
    page.go_back()
    page.wait_for_selector(".card")
    assert page.is_checked("#view input[value='']") and page.locator(".pick").count() == 0
    page.go_forward()
    page.wait_for_function(f"() => {PICKS} === 8")
    assert not [one for one in asked if "/api/search" in one], "it is shown in another way"
    page.reload()
    page.wait_for_function(f"() => {PICKS} === 8")
    assert page.is_checked("#view input[value=videos]")
    assert not [one for one in asked if "/api/" in one and "view=" in one]
    page.fill("#query", "a red wall")
    page.press("#query", "Enter")
    page.wait_for_function("() => document.title.startsWith('a red wall')")
    assert page.url == f"{server.url}/?q=a%20red%20wall&view=videos"


def many(page, videos, found):
    """Answers of so many results, in turn of each video, whose ranks fall with time."""

    def answer(route):
        told = route.fetch().json()
        first = told["results"][0]
        n = int(route.request.url.rpartition("n=")[2])
        told["results"] = [
            first
            | {"id": f"{number % videos:016x}-{number}", "video": f"{number % videos}.mp4"}
            | {"rank": number + 1, "coarse_rank": number + 1, "start": 1000 - number}
            for number in range(min(n, found))
        ]
        told["count"] = told["candidates"] = len(told["results"])
        route.fulfill(json=told)

    page.route("**/api/search*", answer)
    page.route("**/thumbnail/*", lambda route: route.fulfill(status=404))


def test_a_video_shows_its_best_moments_and_says_how_many_there_are(page):
    page.add_init_script("window.IntersectionObserver.prototype.observe = () => {}")
    page.reload()  # Without it more results are still under way when the page is closed.
    many(page, videos=2, found=24)
    page.click("#view label:has-text('Videos')")
    page.fill("#query", "a")
    page.press("#query", "Enter")
    page.wait_for_selector(".video")
    assert page.locator(".video .scores").all_text_contents() == ["the best 6 of 12 moments"] * 2
    places = card(page, "0.mp4").locator("li .place").all_text_contents()
    assert places == ["11", "9", "7", "5", "3", "1"], "the best, by time"


def test_more_results_go_to_their_videos_and_the_focus_stays(page):
    page.add_init_script("window.IntersectionObserver.prototype.observe = () => {}")
    page.reload()
    many(page, videos=7, found=40)
    page.click("#view label:has-text('Videos')")
    page.fill("#query", "a")
    page.press("#query", "Enter")
    page.wait_for_function(f"() => {PICKS} === 24")
    page.locator(".pick").nth(3).focus()
    before = page.evaluate(FOCUSED)
    page.evaluate("document.getElementById('more').click()")
    page.wait_for_function(f"() => {PICKS} === 40")
    assert page.evaluate(FOCUSED) == before and page.locator(".video").count() == 7
    assert page.text_content("#status [role=status]") == "40 results in 7 videos"
