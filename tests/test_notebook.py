"""The notebook of examples/: its cells run in order, and nothing of a run is kept in it."""

import ast
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from input_pipeline.media import video
from tests import captioned, searchable
from tests.repository import ROOT

NOTEBOOK = ROOT / "examples" / "search_a_folder.ipynb"


def cells(kind: str) -> list[dict[str, Any]]:
    found = json.loads(NOTEBOOK.read_text())["cells"]
    return [cell for cell in found if cell["cell_type"] == kind]


def tags(cell: dict[str, Any]) -> list[str]:
    return cell["metadata"].get("tags", [])


def run(text: str, names: dict[str, Any]) -> Any:
    """Runs a cell; what its last line shows, if that is an expression."""
    tree = ast.parse(text)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, str(NOTEBOOK), "exec"), names)
    if isinstance(last, ast.Expr):
        return eval(compile(ast.Expression(last.value), str(NOTEBOOK), "eval"), names)
    return None


def test_it_holds_nothing_of_a_run_and_installs_first() -> None:
    first, *others = cells("code")
    assert tags(first) == ["install"] and "".join(first["source"]).startswith("%pip install ")
    where = "".join(first["source"]).split()[-1]
    assert (NOTEBOOK.parent / where).resolve() == ROOT, "it is on no package index"
    for cell in others:
        ast.parse("".join(cell["source"]))
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in cells("code"))
    assert len({cell["id"] for cell in json.loads(NOTEBOOK.read_text())["cells"]}) == len(
        [*cells("code"), *cells("markdown")]
    )
    assert re.search(r"/(home|root|tmp|Users)/", NOTEBOOK.read_text()) is None


@pytest.fixture
def shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[Any]]:
    """Runs all cells; what they show. A small model of random weights stands for a download."""
    model = searchable.write_converted(tmp_path / "model", vocab_size=49408, context_length=77)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)

    def shown() -> list[Any]:
        names: dict[str, Any] = {}
        found = []
        for cell in cells("code"):
            if "install" not in tags(cell):
                found.append(run("".join(cell["source"]), names))
            if "parameters" in tags(cell):
                names["MODEL"] = str(model)
        return found

    return shown


@pytest.mark.slow
def test_its_cells_find_the_videos_that_it_draws(
    shown: Callable[[], list[Any]], capsys: pytest.CaptureFixture
) -> None:
    found = shown()
    assert ["blue.mp4", "green.mp4", "red.mp4"] in found
    picture = next(one for one in found if isinstance(one, Image.Image))
    assert picture.size == (224, 224)
    told = re.findall(r"^-?\d\.\d{3}  \w+\.mp4", capsys.readouterr().out, re.M)
    assert len(told) == 6


@pytest.mark.slow
def test_its_cells_find_photos_and_short_videos(
    shown: Callable[[], list[Any]], tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    """They say that a folder may hold photos; and a clip may end before half a second."""
    (tmp_path / "videos").mkdir()
    for number in range(3):
        captioned.write_photo(tmp_path / "videos" / f"{number}.png", number)
    frames = np.full((2, 32, 32, 3), 128, np.uint8)
    video.write_video(tmp_path / "videos" / "short.mp4", frames, fps=12)
    assert any(isinstance(one, Image.Image) for one in shown())
    told = re.findall(r"^-?\d\.\d{3}  \w+\.(?:png|mp4)", capsys.readouterr().out, re.M)
    assert len(told) == 6
