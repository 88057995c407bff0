"""The page of `animclip serve`: search as you type, endless results, examples, colours."""

import pytest
from PIL import Image

from tests import browsing, searchable
from tests.browsing import search
from tests.served import served

pytestmark = pytest.mark.slow

PHOTOS = 60
CARDS = "document.querySelectorAll('.card').length"


@pytest.fixture(scope="module")
def server(search_model, search_model_path, tmp_path_factory):
    home = tmp_path_factory.mktemp("many")
    (home / "photos").mkdir()
    for n in range(PHOTOS):
        colour = (4 * n, 250 - 4 * n, (90 * n) % 256)
        Image.new("RGB", (64, 48), colour).save(home / "photos" / f"{n:02}.png")
    searchable.index(home / "photos", home / "index", search_model, search_model_path)
    # So that most results are of those that the re-ranker never sees.
    with served(home / "index", "--previews=none", "--rerank-k=10") as running:
        yield running


def wait_for_title(page, sentence):
    page.wait_for_function(f"() => document.title.startsWith({sentence!r})")
    page.wait_for_function("() => document.getElementById('status').textContent.includes(' in ')")


def test_a_search_begins_when_nobody_types_any_more(page):
    sentences = []
    page.on("request", lambda asked: sentences.extend([asked.url] * ("/search?" in asked.url)))
    page.type("#query", "a red", delay=20)
    wait_for_title(page, "a red")
    page.wait_for_selector(".card")
    assert page.evaluate("document.activeElement.id") == "query", "one types on"
    assert len(sentences) <= 2, "not one for each letter"


def test_typing_on_makes_one_entry_and_what_was_meant_another(page, server):
    page.type("#query", "a red")
    wait_for_title(page, "a red")
    page.type("#query", " wall ")
    wait_for_title(page, "a red wall")
    assert page.input_value("#query") == "a red wall ", "a blank that was typed stays"
    page.press("#query", "Enter")
    page.fill("#query", "a blue")
    wait_for_title(page, "a blue")
    page.go_back()
    wait_for_title(page, "a red wall")
    assert page.input_value("#query") == "a red wall"
    page.go_back()
    page.wait_for_selector(".card", state="detached")
    assert page.url == f"{server.url}/"


def test_turning_to_the_results_means_what_was_typed(page):
    page.fill("#query", "a red")
    wait_for_title(page, "a red")
    page.wait_for_selector(".card")
    page.keyboard.press("ArrowDown")
    page.fill("#query", "a blue")
    wait_for_title(page, "a blue")
    page.go_back()
    wait_for_title(page, "a red")


def test_an_answer_that_comes_too_late_is_dropped(page):
    page.evaluate("""() => {
      const real = window.fetch;
      window.fetch = async (url, options) => {
        if (String(url).includes("slow")) await new Promise((done) => setTimeout(done, 1500));
        return real(url, options);
      };
    }""")
    page.fill("#query", "slow")
    wait = "() => document.getElementById('status').textContent.includes('slow')"
    page.wait_for_function(wait)
    page.fill("#query", "a blue")
    wait_for_title(page, "a blue")
    page.wait_for_timeout(2000)
    assert page.title().startswith("a blue") and "candidates" in page.text_content("#status")


def test_results_go_on_when_one_scrolls(page):
    search(page)
    page.wait_for_function(f"() => {CARDS} >= 24")
    while page.locator(".card").count() < PHOTOS:
        before = page.locator(".card").count()
        page.evaluate("window.scrollTo(0, document.body.scrollHeight)")
        page.wait_for_function(f"() => {CARDS} > {before}")
    places = page.locator(".card .place").all_text_contents()
    assert [int(place) for place in places] == list(range(1, PHOTOS + 1))
    assert page.is_hidden("#more")


def test_more_results_are_reached_by_the_keyboard(page):
    page.add_init_script("window.IntersectionObserver.prototype.observe = () => {}")
    page.reload()
    search(page)
    page.wait_for_function(f"() => {CARDS} >= 24")
    count = page.locator(".card").count()
    assert count < PHOTOS
    page.focus("#more")
    page.keyboard.press("Enter")
    page.wait_for_function(f"() => {CARDS} > {count}")
    focused = "[...document.querySelectorAll('.card')].indexOf(document.activeElement)"
    page.wait_for_function(f"() => {focused} === {count}")


def test_an_empty_page_offers_moments_of_the_index(page):
    page.wait_for_selector("#examples .moments img")
    loaded = "[...document.querySelectorAll('#examples img')].every(one => one.naturalWidth > 0)"
    page.wait_for_function(f"() => {loaded}")
    page.locator("#examples .moments button").nth(2).press("Enter")
    page.wait_for_selector(".card")
    assert "?like=" in page.url and page.is_hidden("#examples")
    page.go_back()
    page.wait_for_selector("#examples .moments img")


def test_sentences_are_offered_where_the_model_knows_the_world(page):
    page.locator("#examples .sentences button").first.click()
    wait_for_title(page, "people walking on a beach")


@pytest.mark.parametrize("system", ["light", "dark"])
def test_the_colours_are_the_systems_until_others_are_chosen(browser, server, system):
    with browsing.opened(browser, server.url, "narrow", system, color_scheme=system) as page:
        other = {"light": "dark", "dark": "light"}[system]
        light = "rgb(247, 247, 245)"
        colour = "getComputedStyle(document.body).backgroundColor"
        assert (page.evaluate(colour) == light) == (system == "light")
        page.select_option("select.theme", other)
        assert (page.evaluate(colour) == light) == (other == "light")
        page.reload()
        assert (page.evaluate(colour) == light) == (other == "light"), "it is remembered"
        assert page.input_value("select.theme") == other


def test_results_stay_where_more_of_them_cannot_be_had(page):
    page.add_init_script("window.IntersectionObserver.prototype.observe = () => {}")
    page.reload()
    search(page)
    page.wait_for_function(f"() => {CARDS} >= 24")
    busy = {"status": 503, "json": {"error": "too many searches at once"}}
    page.route("**/api/search?*", lambda route: route.fulfill(**busy), times=1)
    page.click("#more")
    page.wait_for_selector("#status.error:has-text('too many searches')")
    assert page.locator(".card").count() == 24 and page.is_visible("#more")
    page.click("#more")
    page.wait_for_function(f"() => {CARDS} === 48")
    assert page.locator("#status.error").count() == 0


def test_a_search_that_comes_before_more_of_another_goes_on_to_its_own_end(page):
    page.add_init_script("""
      window.IntersectionObserver.prototype.observe = () => {};
      const real = window.fetch;
      window.fetch = async (url, options) => {
        if (String(url).includes("n=72")) {
          await new Promise((done, failed) => options.signal.addEventListener(
            "abort", () => failed(new DOMException("", "AbortError"))));
        }
        return real(url, options);
      };
    """)
    page.reload()
    search(page)
    page.wait_for_function(f"() => {CARDS} === 24")
    page.click("#more")
    page.wait_for_function(f"() => {CARDS} === 48")
    page.click("#more")
    search(page, "a blue")
    page.wait_for_function(f"() => {CARDS} === 24")
    page.wait_for_selector("#more:visible", timeout=5000)
    page.click("#more")
    page.wait_for_function(f"() => {CARDS} === 48")
