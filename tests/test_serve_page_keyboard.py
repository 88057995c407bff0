"""The page of `animclip serve` by the keyboard alone, and what screen readers are told."""

import pytest

from tests.browsing import search, wait_until_it_plays

pytestmark = pytest.mark.slow

# What has the focus, whether that can be seen, and whether it is on the screen, not under the head.
FOCUSED = """() => {
  const one = document.activeElement;
  const shows = (some) => some && getComputedStyle(some).outlineStyle !== "none"
    && parseFloat(getComputedStyle(some).outlineWidth) >= 2;
  const box = one.getBoundingClientRect();
  const down = Math.min(8, box.height / 2);
  const top = document.elementFromPoint(box.left + box.width / 2, box.top + down);
  const isPart = (some) => one.parentElement.contains(some);
  return {
    what: one.id || one.className || one.dataset.format || one.value || one.name || one.tagName,
    isIn: document.querySelector("#detail").contains(one),
    isSeen: shows(one) || shows(one.nextElementSibling),
    isOnTop: Boolean(top) && isPart(top),
  };
}"""


def tabbed(page, count, key="Tab"):
    """What has the focus after each of so many Tabs; each is seen."""
    found = []
    for _ in range(count):
        page.keyboard.press(key)
        now = page.evaluate(FOCUSED)
        assert now["isSeen"] and now["isOnTop"], now
        found.append(now["what"])
    return found


def test_tab_goes_through_the_page_in_its_order_and_is_seen(page):
    search(page)
    page.focus("#query")
    order = ["submit", "picture", "SUMMARY", "SUMMARY", "view", "rank"]
    names = {"": "submit", "BUTTON": "submit"}
    found = [names.get(one, one) for one in tabbed(page, 9)]
    cards = found[-3:]
    assert cards == ["card", "open", "more"]
    assert found[:-3] == order
    assert tabbed(page, 3, "Shift+Tab") == ["open", "card", found[5]]


def test_how_many_results_there_are_is_announced(page):
    live = page.locator("#status [role=status]")
    assert live.get_attribute("aria-live") == "polite"
    said = """() => {
      window.said = [];
      new MutationObserver(() => said.push(LIVE.textContent))
        .observe(LIVE, { childList: true, characterData: true, subtree: true });
    }"""
    page.evaluate(said.replace("LIVE", "document.querySelector('#status [role=status]')"))
    search(page)
    page.wait_for_function("() => said.at(-1) === '6 results'")
    assert "ms" not in "".join(page.evaluate("() => said")), "nobody needs to hear that"
    page.click("#view label:has-text('Videos')")
    page.wait_for_function("() => said.at(-1) === '6 results in 5 videos'")


def test_a_search_is_done_by_the_keyboard_alone(page):
    page.keyboard.press("Escape")
    page.keyboard.press("/")
    page.keyboard.type("a white block")
    page.keyboard.press("Enter")
    page.wait_for_selector(".card")
    page.keyboard.press("ArrowDown")
    while "mp4" not in page.evaluate("document.activeElement.title"):
        page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    wait_until_it_plays(page)
    page.keyboard.press("Escape")
    page.wait_for_selector(".card video", state="detached")
    id = page.evaluate("document.activeElement.closest('li').dataset.id")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_selector("#detail[open] .told:not(:empty)")
    page.wait_for_function("() => document.querySelector('#detail .bars span')")
    for _ in range(14):
        page.keyboard.press("Tab")
        now = page.evaluate(FOCUSED)
        # After the last one comes the browser itself.
        assert now["isIn"] or now["what"] == "BODY", now
    assert page.evaluate("document.querySelector('#detail').matches(':modal')")
    page.keyboard.press("Escape")
    page.wait_for_selector("#detail", state="hidden")
    focused = "document.activeElement.closest('li')?.dataset.id"
    page.wait_for_function(f"() => {focused} === '{id}'")
    page.keyboard.press("v")
    page.wait_for_selector(".pick")
    page.focus("#query")
    page.keyboard.press("ArrowDown")
    assert page.evaluate(FOCUSED)["isSeen"]
    page.keyboard.press("Enter")
    page.wait_for_selector("#detail[open]")
    page.keyboard.press("Escape")
    page.wait_for_selector("#detail", state="hidden")


def test_a_card_that_gets_the_focus_is_not_under_the_head(page):
    page.set_viewport_size({"width": page.viewport_size["width"], "height": 420})
    search(page)
    page.keyboard.press("ArrowDown")
    for key in ("ArrowDown", "ArrowDown", "ArrowUp", "ArrowUp"):
        page.keyboard.press(key)
        now = page.evaluate(FOCUSED)
        assert now["isOnTop"], (key, now)


def test_every_part_has_a_role_and_a_name(page):
    search(page)
    page.get_by_role("search").wait_for()
    for role, name in (
        ("searchbox", "What does the video show?"),
        ("group", "Results by"),
        ("group", "Ranking"),
        ("radio", "Videos"),
        ("list", "Results"),
    ):
        assert page.get_by_role(role, name=name, exact=True).count() == 1, (role, name)
    assert page.get_by_role("button", name="Open: ").count() == 6
    page.get_by_role("button", name="Open: ").first.click()
    page.wait_for_selector("#detail[open] .told:not(:empty)")
    for name in ("Close", "Copy path", "Next"):
        assert page.get_by_role("dialog").get_by_role("button", name=name).count() == 1, name


def focused(page):
    """The id of the result that has the focus, and what of it."""
    here = "document.activeElement"
    return page.evaluate(f"[{here}.closest('#results [data-id]')?.dataset.id, {here}.className]")


def test_who_is_at_a_result_stays_there_when_the_ranking_or_the_view_changes(page):
    search(page)
    for key, kind in (("r", "card"), ("v", "pick"), ("r", "pick"), ("v", "card")):
        before = page.locator("#results [data-id]").nth(1).locator("button").first
        before.focus()
        id, _ = focused(page)
        page.keyboard.press(key)
        page.wait_for_selector(f"#results .{kind}")
        assert focused(page) == [id, kind], key


def test_another_search_from_a_result_goes_to_its_first_result(page):
    search(page)
    page.locator(".card").nth(2).focus()
    id, _ = focused(page)
    page.keyboard.press("l")
    page.wait_for_url(f"**/?like={id}")
    page.wait_for_function("() => document.activeElement.matches('#results .card')")
    assert focused(page) == [id, "card"], "it is most like itself"


def test_who_removes_a_part_of_the_query_stays_among_the_others(page):
    search(page)
    ids = [one.get_attribute("data-id") for one in page.locator("#results > li").all()]
    page.goto(page.url + "".join(f"&like={id}" for id in ids[:2]))
    page.wait_for_selector(".card")
    chip, wanted = page.locator("#chips button"), "document.activeElement.matches('{}')"
    chip.nth(1).focus()
    page.keyboard.press("Enter")
    page.wait_for_url(f"**&like={ids[0]}")
    page.wait_for_timeout(500)
    assert page.evaluate(wanted.format("#chips button")) and chip.count() == 1
    page.keyboard.press("Enter")
    page.wait_for_url("**/?q=a%20white%20block")
    page.wait_for_timeout(500)
    assert page.evaluate(wanted.format("#query"))
