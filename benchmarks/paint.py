"""Seconds until a browser paints the page of `animclip serve`, and until it shows results.

    animclip serve INDEX --port 8000
    python -m benchmarks.paint http://127.0.0.1:8000 --json paint.json

A headless Chromium opens the page anew each time, without a cache. `first_paint` is its first
contentful paint; `results` is the time until the results of a sentence in the page's address are
there, the search included. `plain` is the first contentful paint of a page of one line, which the
browser reads from its address.
"""

import argparse
import json
import os
import shutil
import sys
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np

from animclip_jax import files

ROUNDS, QUICK_ROUNDS = 20, 3
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
PAINT = "() => performance.getEntriesByName('first-contentful-paint')[0]?.startTime"
PLAIN = "data:text/html,<!doctype html><title>one</title><p>one line"
RESULTS = "() => document.querySelector('#results li') !== null"
NOW = "() => performance.now()"


def measure(browser: Any, url: str, rounds: int) -> dict[str, list[float]]:
    """Milliseconds from the start of the navigation, a number for each round."""
    spent: dict[str, list[float]] = {"plain": [], "first_paint": [], "results": []}
    for number in range(rounds + 1):
        context = browser.new_context(viewport={"width": 1280, "height": 800})
        page = context.new_page()
        page.goto(PLAIN)
        plain = page.wait_for_function(PAINT).json_value()
        context.close()
        context = browser.new_context(viewport={"width": 1280, "height": 800})
        page = context.new_page()
        page.goto(url)
        first = page.wait_for_function(PAINT).json_value()
        page.goto(f"{url}/?q=a+dog+runs+over+the+grass")
        page.wait_for_function(RESULTS)
        results = page.evaluate(NOW)
        context.close()
        if number:  # The first round warms up server and browser.
            spent["plain"].append(plain)
            spent["first_paint"].append(first)
            spent["results"].append(results)
    return spent


def main(argv: list[str] | None = None) -> int:
    """Prints a table; writes it as JSON too where --json is given."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("url", help="of a server, such as http://127.0.0.1:8000")
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    parser.add_argument("--json", type=Path, help="also write the figures into this file")
    options = parser.parse_args(argv)
    url = options.url.rstrip("/")
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        print(f"paint: found none of {', '.join(BROWSERS)} on the path", file=sys.stderr)
        return 1
    try:
        with urllib.request.urlopen(f"{url}/api/index") as answer:
            index = json.load(answer)
    except OSError as error:
        print(f"paint: {url}: {error}", file=sys.stderr)
        return 1
    # Here, since only this needs it.
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=["--no-sandbox"])
        spent = measure(browser, url, QUICK_ROUNDS if options.quick else ROUNDS)
        browser.close()
    print(f"{index['segments']} segments, {os.cpu_count()} cores")
    rows = {
        name: {"p50_ms": float(np.quantile(some, 0.5)), "max_ms": max(some), "rounds": len(some)}
        for name, some in spent.items()
    }
    for name, row in rows.items():
        print(f"{name}: p50 {row['p50_ms']:.0f} ms, most {row['max_ms']:.0f} ms")
    if options.json:
        report = {"segments": index["segments"], "cores": os.cpu_count(), "rows": rows}
        files.write_json(options.json, report, indent=1)
    return 0


if __name__ == "__main__":
    sys.exit(main())
