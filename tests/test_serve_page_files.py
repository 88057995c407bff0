"""The page of `animclip serve` and files: where a moment lies, its folder, the export menu."""

import time
from pathlib import Path
from urllib.parse import parse_qs, urljoin, urlsplit

import pytest

from tests import searchable
from tests.browsing import search
from tests.served import served

pytestmark = pytest.mark.slow

MOMENT = searchable.moment("long.mp4", 1)
COPIED = "navigator.clipboard.readText()"
DONE = "document.querySelector('#detail .done').textContent"


@pytest.fixture(scope="module")
def desktop(tmp_path_factory):
    """A file manager that writes down which folders it was to open."""
    home = tmp_path_factory.mktemp("desktop")
    manager = home / "xdg-open"
    manager.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >> {home / "opened.txt"}\n')
    manager.chmod(0o755)
    return home


@pytest.fixture(scope="module")
def server(indexed, desktop):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", str(desktop), prepend=":")
        patch.setenv("DISPLAY", ":99")
        with served(indexed, "--previews=none") as running:
            yield running


@pytest.fixture
def browser_options():
    return {"permissions": ["clipboard-read", "clipboard-write"]}


def opened(page):
    # It is the best of its scene then, and stands for it.
    page.goto(urljoin(page.url, f"/?like={MOMENT}"))
    page.locator(f"li[data-id='{MOMENT}'] .open").click()
    page.wait_for_selector("#detail[open] .best button")


def wanted(indexed: Path) -> str:
    return f"{(indexed.parent / 'videos').resolve() / 'long.mp4'} 0:08.3-0:16.7"


@pytest.mark.parametrize("way", ["button", "key"])
def test_where_a_moment_is_gets_copied(page, indexed, way):
    opened(page)
    page.wait_for_selector("#detail .folder", state="visible")
    if way == "button":
        page.click("#detail .copy")
    else:
        page.keyboard.press("c")
    page.wait_for_function(f"() => {DONE} !== ''")
    assert page.evaluate(DONE) == f"Copied: {wanted(indexed)}"
    assert page.evaluate(COPIED) == wanted(indexed)


def test_it_is_copied_where_a_page_has_no_clipboard(page, indexed):
    page.add_init_script("navigator.clipboard.writeText = () => Promise.reject(new Error())")
    page.reload()
    opened(page)
    page.wait_for_selector("#detail .folder", state="visible")
    page.click("#detail .copy")
    page.wait_for_function(f"() => {DONE} !== ''")
    assert page.evaluate(COPIED) == wanted(indexed)
    assert page.evaluate("document.activeElement.className") == "copy"


def test_a_name_is_copied_where_the_server_says_no_place(page):
    page.route("**/api/folder/*", lambda route: route.fulfill(status=503, json={"error": "busy"}))
    opened(page)
    page.click("#detail .copy")
    page.wait_for_function(f"() => {DONE} === 'Copied: long.mp4 0:08.3-0:16.7'")


def test_the_folder_opens_by_button_and_by_key(page, indexed, desktop):
    log = desktop / "opened.txt"
    log.unlink(missing_ok=True)
    opened(page)
    page.click("#detail .folder")
    page.wait_for_function(f"() => {DONE} === 'The folder was opened.'")
    page.keyboard.press("f")
    folder, deadline = str((indexed.parent / "videos").resolve()), time.monotonic() + 60
    while not (log.exists() and log.read_text().split() == [folder, folder]):
        assert time.monotonic() < deadline, "both times"
        time.sleep(0.02)


def test_where_no_folder_can_be_opened_no_button_says_so(page):
    posted = []
    page.on("request", lambda asked: posted.extend([asked.url] * (asked.method == "POST")))
    told = {"path": "/far/long.mp4", "opens": False}
    page.route("**/api/folder/*", lambda route: route.fulfill(json=told))
    opened(page)
    page.keyboard.press("c")
    page.wait_for_function(f"() => {DONE}.startsWith('Copied: /far/long.mp4 ')")
    assert page.is_hidden("#detail .folder")
    page.keyboard.press("f")
    page.wait_for_timeout(300)
    assert posted == []


def test_why_a_folder_does_not_open_is_said(page):
    opened(page)
    page.wait_for_selector("#detail .folder", state="visible")
    told = {"error": "the video is no longer where it was indexed"}
    page.route("**/api/folder/*", lambda route: route.fulfill(status=404, json=told))
    page.click("#detail .folder")
    page.wait_for_function(f"() => {DONE} === {told['error']!r}")


def links(page):
    found = page.locator("#export a").evaluate_all("some => some.map(one => one.href)")
    return [parse_qs(urlsplit(one).query, keep_blank_values=True) for one in found]


def test_the_results_are_exported_as_they_are_shown(page, server):
    assert page.is_hidden("#export")
    search(page, "a white block -water")
    page.click("#export summary")
    shown = {"q": ["a white block -water"], "n": ["6"]}
    formats = ("json", "csv", "edl", "otio")
    assert links(page) == [{"format": [one], **shown} for one in formats]
    # What lies beside the menu; on a narrow window it covers the next row.
    page.click("#query")
    assert page.locator("#export[open]").count() == 0
    page.click("fieldset label:has-text('Before')")
    page.click("#export summary")
    assert links(page)[0] == {"format": ["json"], **shown, "coarse_only": ["true"], "by": ["seen"]}
    href = page.locator("#export a").first.get_attribute("href")
    assert server.ask(href).status == 200
    with page.expect_download() as waiting:
        page.click("#export a[data-format=json]")
    assert waiting.value.suggested_filename.endswith(".json")


def test_the_menu_is_used_by_the_keyboard_and_closes(page):
    search(page)
    page.focus("#export summary")
    page.keyboard.press("Enter")
    page.wait_for_selector("#export[open]")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.dataset.format") == "json"
    page.keyboard.press("Escape")
    page.wait_for_selector("#export:not([open])")
    assert page.evaluate("document.activeElement.tagName") == "SUMMARY"
    page.keyboard.press("Enter")
    page.wait_for_selector("#export[open]")
    for _ in range(5):
        page.keyboard.press("Tab")
    page.wait_for_selector("#export:not([open])")
    page.click("#export summary")
    page.wait_for_selector("#export[open]")
    page.mouse.click(5, 5)
    page.wait_for_selector("#export:not([open])")


def test_no_export_is_offered_where_nothing_was_found(page):
    search(page)
    assert page.is_visible("#export")
    page.goto(f"{page.url}&longer=1000")
    page.wait_for_function(
        "() => document.getElementById('status').textContent === 'Nothing found.'"
    )
    assert page.is_hidden("#export")
