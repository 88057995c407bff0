"""The notebook of examples/: its cells run in order, and nothing of a run is kept in it."""

import ast
import json
import re
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests import searchable
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


@pytest.mark.slow
def test_its_cells_find_videos(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    """With the videos that it draws, and a small model of random weights instead of a download."""
    model = searchable.write_converted(tmp_path / "model", vocab_size=49408, context_length=77)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    shown = []
    for cell in cells("code"):
        if "install" not in tags(cell):
            shown.append(run("".join(cell["source"]), names))
        if "parameters" in tags(cell):
            names["MODEL"] = str(model)
    assert ["blue.mp4", "green.mp4", "red.mp4"] in shown
    picture = next(one for one in shown if isinstance(one, Image.Image))
    assert picture.size == (4 * 160, 160)
    found = re.findall(r"^-?\d\.\d{3}  \w+\.mp4", capsys.readouterr().out, re.M)
    assert len(found) == 6
