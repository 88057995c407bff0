"""axe finds nothing serious on any state of the page of `animclip serve`; nothing is cut off."""

import pytest

from tests import browsing
from tests.browsing import search

sync_playwright = pytest.importorskip("axe_playwright_python.sync_playwright")

pytestmark = pytest.mark.slow

SERIOUS = ("serious", "critical")
# What is seen, and not hidden on purpose, but reaches over a side of the window.
CUT_OFF = """() => [...document.querySelectorAll("body *")]
  .filter((one) => one.checkVisibility() && getComputedStyle(one).clipPath === "none")
  .filter((one) => {
    const { left, right, width } = one.getBoundingClientRect();
    return width && (left < -1 || right > innerWidth + 1);
  })
  .map((one) => one.outerHTML.slice(0, 80))"""


def serious(page):
    # What fades in is looked at when it is there.
    page.wait_for_timeout(300)
    assert page.evaluate(CUT_OFF) == []
    found = sync_playwright.Axe().run(page).response["violations"]
    return [
        (one["id"], [node["html"] for node in one["nodes"]])
        for one in found
        if one["impact"] in SERIOUS
    ]


@pytest.mark.parametrize("colours", ["light", "dark"])
@pytest.mark.parametrize("size", browsing.SIZES)
def test_axe_finds_nothing_serious(browser, server, size, colours):
    name = f"axe_{size}_{colours}"
    with browsing.opened(browser, server.url, size, name, color_scheme=colours) as page:
        page.wait_for_selector("#examples .moments img")
        page.click("#filters summary")
        assert serious(page) == [], "the empty page"
        search(page)
        assert serious(page) == [], "results"
        page.click("#export summary")
        assert serious(page) == [], "the menu of exports"
        page.click("#view label:has-text('Videos')")
        page.wait_for_selector(".pick")
        assert serious(page) == [], "by video"
        page.click("#view label:has-text('Moments')")
        page.locator("#results li .open").first.click()
        page.wait_for_selector("#detail[open] .best", state="attached")
        page.wait_for_function("() => document.querySelector('#detail .told').textContent !== ''")
        page.wait_for_selector("#detail .bars span", state="attached")
        assert serious(page) == [], "the detail view"
        for path in ("/status", "/api"):
            page.goto(f"{server.url}{path}")
            assert serious(page) == [], path
