"""The figures of docs/pixels.md, measured again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from benchmarks import pixels

# All of them wait for what the fixture measures.
pytestmark = pytest.mark.long
DOCS = (Path(__file__).parents[2] / "docs" / "pixels.md").read_text()


@pytest.fixture(scope="module")
def figures(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[dict[str, Any]]]:
    return pixels.measure(tmp_path_factory.mktemp("pixels"))


def documented(heading: str) -> list[list[str]]:
    """The cells of the first table below a heading."""
    lines = DOCS.split(f"## {heading}\n")[1].split("\n## ")[0].splitlines()
    first = next(n for n, line in enumerate(lines) if line.startswith("| --- ")) + 1
    last = next((n for n in range(first, len(lines)) if not lines[n]), len(lines))
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[first:last]]


def test_the_crops_are_those_of_the_page(figures: dict[str, list[dict[str, Any]]]) -> None:
    found = [[str(cell) for cell in row.values()] for row in figures["centre crop"]]
    wanted = documented("The centre crop")
    assert [row[:4] for row in found] == [row[:4] for row in wanted]
    for row in figures["centre crop"]:
        begins = row["ours (OpenAI's)"]
        assert row["left out"] % 4 == 3 and begins == row["left out"] // 2 + 1
        assert row.get("transformers", begins - 1) == begins - 1


def test_only_the_accurate_transform_gives_pillows_pixels(
    figures: dict[str, list[dict[str, Any]]],
) -> None:
    fast, accurate = figures["JPEG by TensorFlow beside Pillow"]
    assert fast["red"] < -1 and fast["blue"] < -1
    assert (accurate["red"], accurate["green"], accurate["blue"], accurate["largest"]) == (0,) * 4


def test_the_colours_are_those_of_the_page(figures: dict[str, list[dict[str, Any]]]) -> None:
    found = {row["video"]: row["read by us"] for row in figures["colour"]}
    assert found == {row[0]: row[1] for row in documented("Colour of videos")}


def test_the_alpha_of_vp9_is_left_out(figures: dict[str, list[dict[str, Any]]]) -> None:
    found = [list(row.values()) for row in figures["alpha"]]
    assert found == documented("Transparency")


def test_the_command_prints_tables_and_writes_json(
    figures: dict[str, list[dict[str, Any]]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(pixels, "measure", lambda folder, browser: figures)
    assert pixels.main(["--json", str(tmp_path / "pixels.json")]) == 0
    assert "| white of 10 bits, limited range | 253 253 253 |" in capsys.readouterr().out
    assert '"ours (OpenAI\'s)": 56' in (tmp_path / "pixels.json").read_text()
