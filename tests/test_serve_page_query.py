"""Queries of several parts on the page: chips, pictures that are dropped and pasted, addresses."""

import re
import shutil
import urllib.parse

import pytest
from PIL import Image

from tests import browsing, said, searchable
from tests.browsing import search
from tests.served import served

pytestmark = pytest.mark.slow

DROP = """([kind, selector]) => new Promise((resolve) => {
  const canvas = document.createElement("canvas");
  canvas.width = 64; canvas.height = 48;
  const context = canvas.getContext("2d");
  context.fillStyle = "rgb(220 30 30)";
  context.fillRect(0, 0, 64, 48);
  canvas.toBlob((blob) => {
    const given = new DataTransfer();
    given.items.add(new File([blob], "red.png", { type: "image/png" }));
    const options = { bubbles: true, cancelable: true };
    const event = kind === "paste"
      ? new ClipboardEvent(kind, { ...options, clipboardData: given })
      : new DragEvent(kind, { ...options, dataTransfer: given });
    document.querySelector(selector).dispatchEvent(event);
    resolve();
  });
})"""


def titles(page):
    return page.locator(".card").evaluate_all("cards => cards.map(card => card.innerText)")


@pytest.mark.parametrize("kind", ["drop", "paste"])
def test_a_picture_that_is_dropped_or_pasted_is_shown_and_has_an_address(page, kind):
    page.evaluate(DROP, [kind, "body"])
    page.wait_for_selector("#chips li img")
    page.wait_for_function("() => document.querySelector('#chips img').naturalWidth > 0")
    assert "?like=" in page.url and "this picture" in page.text_content("#chips")
    found = titles(page)
    page.reload()
    page.wait_for_selector(".card")
    assert titles(page) == found
    page.wait_for_function("() => document.querySelector('#chips img').naturalWidth > 0")
    page.go_back()
    page.wait_for_selector(".card", state="detached")
    assert page.is_hidden("#chips")
    page.go_forward()
    page.wait_for_selector(".card")
    assert titles(page) == found


def test_back_while_a_search_is_under_way_stays_with_the_results_before(page):
    search(page, "a red block")
    found = titles(page)
    held = []
    page.route("**/api/search?q=a*blue*", lambda route: held.append(route))
    page.fill("#query", "a blue wall -block")
    page.press("#query", "Enter")
    page.wait_for_function("() => document.querySelector('#status').textContent.includes('blue')")
    page.go_back()
    page.wait_for_function("() => document.querySelector('#query').value === 'a red block'")
    held[0].fulfill(json={"error": "too late"}, status=500)
    page.wait_for_function("() => document.querySelector('#status').textContent.includes(' in ')")
    page.wait_for_timeout(300)
    assert titles(page) == found and page.input_value("#query") == "a red block"
    assert "q=a%20red%20block" in page.url and "too late" not in page.text_content("#status")


def test_a_sentence_and_a_picture_are_searched_together(page):
    search(page, "a white block -water")
    page.evaluate(DROP, ["drop", "#query"])
    page.wait_for_selector("#chips li")
    assert "q=a%20white%20block%20-water&like=" in page.url
    assert page.input_value("#query") == "a white block -water"
    assert "re-ranking" in page.text_content("#status")
    page.click("#chips button")
    page.wait_for_selector("#chips li", state="detached")
    assert page.url.endswith("?q=a%20white%20block%20-water")


def test_more_like_a_result_by_mouse_and_by_key(page):
    search(page)
    card = page.locator("#results li", has_text="red.mp4")
    card.locator(".more").click()
    page.wait_for_selector("#chips img")
    page.wait_for_function("() => document.querySelector('.card').title === 'red.mp4'")
    assert "red.mp4 0:00.0" in page.text_content("#chips")
    assert page.url.endswith(f"?like={searchable.moment('red.mp4')}")
    page.locator(".card", has_text="shots.mp4").first.focus()
    page.keyboard.press("l")
    page.wait_for_function("() => document.querySelector('.card').title === 'shots.mp4'")
    page.go_back()
    page.wait_for_function("() => document.querySelector('.card').title === 'red.mp4'")


def test_the_status_page_is_reached_from_the_search(page):
    page.click("footer a[href='/status']")
    page.wait_for_selector("h1")
    assert "5 videos in 8 segments" in page.text_content("table")
    page.click("a[href='/']")
    page.wait_for_selector("#query")


def test_what_is_no_picture_is_said(page, tmp_path):
    (tmp_path / "a.txt").write_text("no picture")
    page.set_input_files("#picture", tmp_path / "a.txt")
    page.wait_for_selector("#status.error")
    assert page.text_content("#status") == "a.txt is not a picture."
    Image.new("RGB", (64, 48)).save(tmp_path / "a.png")
    (tmp_path / "a.png").write_bytes((tmp_path / "a.png").read_bytes()[:60])
    page.set_input_files("#picture", tmp_path / "a.png")
    page.wait_for_function(
        "() => document.getElementById('status').textContent.includes('decoded')"
    )
    assert page.is_hidden("#chips") and "like" not in page.url


def test_a_picture_that_the_server_forgot_is_said(page, server):
    page.goto(f"{server.url}/?q=a&like={'0' * 32}")
    page.wait_for_selector("#status.error")
    assert "choose it again" in page.text_content("#status")
    page.click("#chips button")
    page.wait_for_selector(".card")


def test_both_rankings_are_no_filter(page):
    page.goto(urllib.parse.urljoin(page.url, "/?q=a+red+block&by=both"))
    page.wait_for_selector(".card")
    assert page.text_content("#filters summary") == "Filters"
    assert page.input_value("#filters [name=by]") == ""


def test_filters_are_part_of_the_address(page):
    search(page)
    page.click("#filters summary")
    page.select_option("[name=kind]", "video")
    page.fill("[name=name]", "red*")
    page.press("[name=name]", "Tab")
    page.wait_for_function("() => document.querySelectorAll('.card').length === 1")
    assert page.url.endswith("?q=a%20white%20block&kind=video&name=red*")
    assert page.text_content("#filters summary") == "Filters (2)"
    page.reload()
    page.wait_for_selector(".card")
    assert page.input_value("[name=name]") == "red*" and page.locator(".card").count() == 1
    page.go_back()
    page.wait_for_function("() => document.querySelectorAll('.card').length === 6")
    page.click("#filters summary")
    page.fill("[name=longer]", "100")
    page.press("[name=longer]", "Enter")
    page.wait_for_function(
        "() => document.getElementById('status').textContent === 'Nothing found.'"
    )


def test_a_filter_keeps_the_focus_where_nothing_is_searched_for_yet(page):
    """Else the rest of a date that is typed goes into the sentence."""
    page.click("#filters summary")
    page.focus("#filters [name=kind]")
    page.keyboard.press("ArrowDown")
    page.wait_for_url("**/?kind=video")
    assert page.evaluate("document.activeElement.name") == "kind"
    page.focus("#filters [name=since]")
    page.keyboard.type("11052026", delay=30)
    page.wait_for_url("**/?kind=video&since=2026-11-05")
    assert page.evaluate("document.activeElement.name") == "since"
    assert page.input_value("#query") == ""


def test_a_date_that_is_typed_is_one_step_back(page):
    search(page)
    before = page.evaluate("history.length")
    page.click("#filters summary")
    page.focus("#filters [name=since]")
    page.keyboard.type("11052020", delay=30)
    page.wait_for_url("**/?q=a%20white%20block&since=2020-11-05")
    assert page.evaluate("history.length") == before + 1
    page.focus("#filters [name=kind]")
    page.keyboard.press("ArrowDown")
    page.wait_for_url("**&kind=video&since=2020-11-05")
    page.go_back()
    page.wait_for_url("**/?q=a%20white%20block&since=2020-11-05")
    page.go_back()
    page.wait_for_url("**/?q=a%20white%20block")
    assert page.input_value("#filters [name=since]") == ""


def test_a_card_says_why_it_came(browser, indexed, search_model, search_model_path, tmp_path):
    shutil.copy(indexed.parent / "videos" / "red.mp4", tmp_path / "red.mp4")
    shutil.copy(indexed.parent / "videos" / "long.mp4", tmp_path / "long.mp4")
    (tmp_path / "red.srt").write_text(said.srt([(0, 1, "<b>Look</b>, a red kettle & pan")]))
    out = tmp_path.parent / f"{tmp_path.name}-index"
    searchable.index(tmp_path, out, search_model, search_model_path)
    with served(out) as running, browsing.opened(browser, running.url, "wide", "said") as page:
        search(page, "kettle")
        first = page.locator(".card").first
        assert first.locator(".why").text_content() == "seen, and said: “Look, a red kettle & pan”"
        inside = """() => [...document.querySelectorAll("#results li")].every((one) => {
          const [card, more] = [".card", ".more"].map((name) => one.querySelector(name));
          const [outer, box] = [card, more].map((each) => each.getBoundingClientRect());
          const scores = one.querySelector(".scores").getBoundingClientRect();
          return box.bottom <= outer.bottom && box.top >= scores.bottom;
        })"""
        assert page.evaluate(inside), "cards of different heights stand in a row here"
        assert page.get_by_role("button", name=re.compile("red.mp4.*said: “Look")).count() == 1
        page.click("#filters summary")
        page.select_option("[name=by]", "said")
        page.wait_for_function("() => document.querySelectorAll('.card').length === 1")
        assert page.locator(".why").text_content() == "said: “Look, a red kettle & pan”"


def test_a_photo_is_called_one_and_shown_whole(browser, search_model, search_model_path, tmp_path):
    Image.new("RGB", (640, 480), searchable.RED).save(tmp_path / "red.jpg")
    out = tmp_path.parent / f"{tmp_path.name}-index"
    searchable.index(tmp_path, out, search_model, search_model_path)
    with served(out) as running, browsing.opened(browser, running.url, "wide", "photo") as page:
        page.wait_for_function(
            "() => document.getElementById('status').textContent === '1 photo in 1 segment'"
        )
        search(page)
        assert page.text_content(".card .moment") == "photo"
        page.locator(".card").hover()
        shown = "[...document.querySelectorAll('.card img')].map((one) => one.naturalWidth)"
        page.wait_for_function(f"() => {shown}.includes(640)")
