"""The page of `animclip serve` in a browser: searching, both rankings, playing, the keyboard."""

import re

import pytest
from PIL import Image

from tests import searchable
from tests.browsing import search, wait_until_it_plays

pytestmark = pytest.mark.slow


def places(page):
    return page.locator(".card .name").all_text_contents(), [
        int(text) for text in page.locator(".card .place").all_text_contents()
    ]


def test_a_sentence_is_searched_and_its_cost_told(page):
    assert "5 videos in 8 segments" in page.text_content("#status")
    search(page)
    names, ranks = places(page)
    assert ranks == list(range(1, 7)), "the three windows of a shot are one result"
    assert "<b>é 'x'&.mp4" in names, "a name is text, whatever is in it"
    assert page.locator(".card b").count() == 0
    told = page.text_content("#status")
    assert (
        told.startswith("6 results from 8 candidates in")
        and "re-ranking" in told
        and "coarse search" in told
    )
    assert page.url.endswith("?q=a%20white%20block")
    scores = page.locator(".card .scores").first.text_content()
    assert "re-ranked" in scores and "coarse" in scores
    loaded = "[...document.querySelectorAll('.card img')].every(one => one.naturalWidth > 0)"
    page.wait_for_function(loaded)


def test_both_rankings_are_shown(page):
    search(page)
    after = page.locator(".card").evaluate_all("cards => cards.map(card => card.title)")
    moved = page.locator(".card .moved").all_text_contents()
    assert any(text.startswith("▲") for text in moved)
    page.click("fieldset label:has-text('Before')")
    before = page.locator(".card").evaluate_all("cards => cards.map(card => card.title)")
    assert sorted(before) == sorted(after)
    coarse = [
        float(text.rpartition("coarse ")[2])
        for text in page.locator(".card .scores").all_text_contents()
    ]
    assert coarse == sorted(coarse, reverse=True)
    page.locator(".card").first.focus()
    page.keyboard.press("r")
    assert page.locator(".card").evaluate_all("cards => cards.map(card => card.title)") == after
    assert page.is_checked("input[value=rank]")


def test_a_clip_plays_from_its_moment(page, server):
    page.goto(f"{server.url}/?like={searchable.moment('long.mp4', 2)}")
    card = page.locator(f"li[data-id='{searchable.moment('long.mp4', 2)}'] .card")
    card.hover()
    wait_until_it_plays(page)
    assert page.evaluate("document.querySelector('.card video').currentTime") > 16
    page.mouse.move(0, 0)
    page.wait_for_selector(".card video", state="detached")
    card.hover()
    wait_until_it_plays(page)
    page.evaluate("document.querySelector('.card video').currentTime = 24.9")
    again = "() => { const now = document.querySelector('.card video').currentTime;"
    page.wait_for_function(f"{again} return now > 16 && now < 20; }}")


def test_a_seek_that_does_not_land_is_not_tried_again(browser, server):
    def later(route):
        answer = route.fetch()
        found = answer.json()
        for one in found["results"]:
            one["start"], one["end"] = one["start"] + 100, one["end"] + 100
        route.fulfill(response=answer, json=found)

    page = browser.new_page()
    page.route("**/api/search*", later)
    page.goto(f"{server.url}/?q=a+white+block")
    page.evaluate("""() => {
      window.seeks = 0;
      document.addEventListener("seeking", () => { seeks += 1; }, true);
    }""")
    # The answer says that it is from 100 seconds on; the file ends after two.
    page.locator(".card", has_text="red.mp4").hover()
    page.wait_for_function("() => document.querySelector('.card video')?.ended")
    page.wait_for_timeout(1500)
    assert page.evaluate("() => seeks") == 1
    page.close()


def test_the_keyboard_is_enough(page):
    page.keyboard.press("Escape")
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "query"
    page.keyboard.type("a/b")
    assert page.input_value("#query") == "a/b", "while typing it is a letter"
    page.keyboard.press("Enter")
    page.wait_for_selector(".card")
    page.keyboard.press("ArrowDown")
    focused = "[...document.querySelectorAll('.card')].indexOf(document.activeElement)"
    assert page.evaluate(focused) == 0
    page.keyboard.press("ArrowRight")
    assert page.evaluate(focused) == 1
    page.keyboard.press("ArrowDown")
    columns = page.evaluate(focused) - 1
    assert columns == (4 if page.viewport_size["width"] > 1000 else 1)
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowLeft")
    assert page.evaluate(focused) == 0
    while "mp4" not in page.evaluate("document.activeElement.title"):
        page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    wait_until_it_plays(page)
    page.keyboard.press("Escape")
    page.wait_for_selector(".card video", state="detached")
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement.id") == "query"


def test_a_picture_is_searched_by_embeddings_alone(page, tmp_path):
    Image.new("RGB", (64, 48), searchable.RED).save(tmp_path / "red.png")
    page.set_input_files("#picture", tmp_path / "red.png")
    page.wait_for_selector(".card")
    assert "re-ranking" not in page.text_content("#status")
    assert page.evaluate("document.getElementById('ranking').disabled")


def test_a_tap_plays_and_stops(browser, server):
    context = browser.new_context(viewport={"width": 400, "height": 800}, has_touch=True)
    page = context.new_page()
    page.goto(f"{server.url}/?q=a+white+block")
    page.wait_for_selector(".card")
    card = page.locator(".card", has_text="red.mp4")
    card.tap()
    wait_until_it_plays(page)
    card.tap()
    page.wait_for_selector(".card video", state="detached")
    context.close()


def test_back_and_forward_go_through_the_searches(page, server, tmp_path):
    Image.new("RGB", (64, 48), searchable.RED).save(tmp_path / "red.png")
    told = "document.getElementById('status').textContent"
    search(page, "a white block")
    search(page, "a blue wall")
    search(page, "a blue wall")
    page.fill("#query", "")
    page.set_input_files("#picture", tmp_path / "red.png")
    page.wait_for_function(f"() => {told}.includes('candidates') && !{told}.includes('re-ranking')")
    page.wait_for_function("() => location.search.startsWith('?like=')")
    assert page.input_value("#query") == ""
    page.go_back()
    page.wait_for_function(f"() => {told}.includes('re-ranking')")
    assert page.input_value("#query") == "a blue wall", "the same search twice is one"
    page.go_back()
    page.wait_for_function("() => document.getElementById('query').value === 'a white block'")
    page.wait_for_function(f"() => {told}.includes('re-ranking')")
    page.go_back()
    page.wait_for_selector(".card", state="detached")
    assert page.url == f"{server.url}/" and "5 videos" in page.text_content("#status")
    for _ in range(3):
        page.go_forward()
    page.wait_for_function(f"() => {told}.includes('candidates') && !{told}.includes('re-ranking')")
    assert page.locator(".card").count() == 6


def change(page, **fields):
    """The next answers, with other fields in each result."""

    def answer(route):
        told = route.fetch().json()
        told["results"] = [one | fields for one in told["results"]]
        route.fulfill(json=told)

    page.route("**/api/search*", answer)


def test_a_card_says_that_it_cannot_be_played_before_it_is_tried(page):
    fields = {"video": "old/camera.avi", "media_type": "application/octet-stream"}
    change(page, **fields, codec="mpeg4", plays=False)
    search(page)
    shown = page.locator(".card").first.inner_text()
    assert "Browsers can't play it: .avi, mpeg4" in shown
    said = page.get_by_role("button", name=re.compile("can't play it: .avi, mpeg4"))
    assert said.count() == page.locator(".card").count() == 6


def test_a_browser_that_plays_hevc_is_believed(page):
    change(page, video="phone.MP4", media_type="video/mp4", codec="hevc", plays=False)
    decodes = "() => { HTMLMediaElement.prototype.canPlayType = (type) => ANSWER; }"
    for answer, count in (('type.includes("hvc1") ? "probably" : ""', 0), ('""', 6)):
        page.evaluate(decodes.replace("ANSWER", answer))
        search(page, f"a block {count}")
        page.wait_for_function(f"() => document.querySelectorAll('.cannot').length === {count}")


@pytest.mark.parametrize(
    "name",
    [f"{'holidays ' * 12}/{'beach ' * 9}take_0017.mp4", f"{'x' * 200}_take_0017.mp4"],
    ids=["words", "no words"],
)
def test_a_long_name_still_shows_how_it_ends(page, name):
    change(page, video=name)
    search(page)
    assert page.locator(".card .name").first.text_content() == name
    inside = """() => {
      const name = document.querySelector(".card .name");
      const walker = document.createTreeWalker(name, NodeFilter.SHOW_TEXT);
      let last = null;
      while (walker.nextNode()) last = walker.currentNode;
      const range = new Range();
      range.setStart(last, last.length - 8);
      range.setEnd(last, last.length);
      const [end, box] = [range.getBoundingClientRect(), name.getBoundingClientRect()];
      return end.width > 0 && end.left >= box.left && end.right <= box.right + 1;
    }"""
    assert page.evaluate(inside), "the end is what tells files apart"


def test_the_description_breaks_no_word(page, server):
    page.goto(f"{server.url}/api")
    broken = """() => {
      const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
      const broken = [];
      while (walker.nextNode()) {
        for (const word of walker.currentNode.data.matchAll(/[A-Za-z]+/g)) {
          const range = new Range();
          range.setStart(walker.currentNode, word.index);
          range.setEnd(walker.currentNode, word.index + word[0].length);
          if (range.getClientRects().length > 1) broken.push(word[0]);
        }
      }
      return broken;
    }"""
    assert page.evaluate(broken) == []


def test_no_results_are_left_below_an_error(page):
    search(page)
    page.route("**/api/search*", lambda route: route.fulfill(status=502, body="<h1>Bad gateway"))
    page.fill("#query", "b")
    page.press("#query", "Enter")
    page.wait_for_selector("#status.error")
    assert page.text_content("#status") == "The server answered 502."
    assert page.locator(".card").count() == 0
    page.press("#query", "Escape")
    page.keyboard.press("r")


def test_errors_are_told(browser, server):
    page = browser.new_page()
    page.goto(server.url)
    page.route("**/api/search*", lambda route: route.abort())
    page.fill("#query", "a")
    page.press("#query", "Enter")
    page.wait_for_selector("#status.error")
    assert page.text_content("#status") == "The server does not answer."
    page.unroute("**/api/search*")
    page.evaluate("document.getElementById('query').maxLength = 5000")
    page.fill("#query", "a" * 2000)
    page.press("#query", "Enter")
    told = "document.getElementById('status').textContent"
    page.wait_for_function(f"() => {told}.includes('at most 1000')")
    page.close()
