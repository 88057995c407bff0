"""The page's first paint, measured on a small index."""

import pytest

from benchmarks import paint
from tests.served import served


@pytest.mark.slow
def test_the_page_is_painted_before_its_results(browser, indexed):
    with served(indexed, "--previews=none") as server:
        spent = paint.measure(browser, server.url, 2)
    assert list(spent) == ["plain", "first_paint", "results"]
    assert all(len(some) == 2 and min(some) > 0 for some in spent.values())


def test_no_server_and_no_browser_are_told(monkeypatch, capsys):
    monkeypatch.setattr(paint.shutil, "which", lambda name: "/bin/true")
    assert paint.main(["http://127.0.0.1:1"]) == 1
    assert capsys.readouterr().err.startswith("paint: http://127.0.0.1:1: ")
    monkeypatch.setattr(paint.shutil, "which", lambda name: None)
    assert paint.main(["http://127.0.0.1:1"]) == 1
    assert "chromium" in capsys.readouterr().err
