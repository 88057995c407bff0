"""The programs of docs/export.md, out of the page itself, where nothing of ours can be imported."""

import importlib.metadata
import importlib.util
import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from packaging.requirements import Requirement

from animclip_jax import export
from animclip_jax.weights import safetensors_file
from tests import processes
from tests.exporting.models import batch_size, bfloat16, source, source_for
from tests.repository import ROOT

PAGE = (ROOT / "docs" / "export.md").read_text()
OURS = ("animclip_jax", "input_pipeline", "configs")
# What each program may not import beside what is ours, and the format it reads.
PROGRAMS = {
    "search_jax.py": ("stablehlo", ("tensorflow", "torch", "flax", "safetensors")),
    "search_transformers.py": ("hf", ("tensorflow", "jax", "flax")),
    "search_tensorflow.py": ("savedmodel", ("jax", "flax", "torch", "safetensors")),
    "search_onnx.py": ("onnx", ("tensorflow", "jax", "flax", "torch", "safetensors")),
}
# The extra and the packages that a program and its export need.
NEEDS = {
    "search_transformers.py": ("parity", ("torch", "transformers")),
    "search_onnx.py": ("onnx", ("jax2onnx", "onnxruntime")),
}


def programs() -> dict[str, str]:
    """The page's programs by the file name that each begins with."""
    blocks = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    named = [(re.match(r"# (\w+\.py)\n", block), block) for block in blocks]
    return {name[1]: block for name, block in named if name}


def lacks(name: str) -> str | None:
    """Why a program can't run here."""
    extra, packages = NEEDS.get(name, ("", ()))
    missing = [package for package in packages if importlib.util.find_spec(package) is None]
    return f"{name} needs {missing[0]}, of the extra `{extra}`" if missing else None


@pytest.fixture(scope="module")
def exports(tmp_path_factory) -> Path:
    """A folder for each format."""
    folder = tmp_path_factory.mktemp("exports")
    for name, (kind, _) in PROGRAMS.items():
        if kind == "onnx" and lacks(name):
            continue
        export.export(source_for(kind), folder / kind, kind, batch_size(kind))
    return folder


@pytest.fixture
def elsewhere(tmp_path) -> Path:
    """A folder with the programs alone."""
    for name, text in programs().items():
        (tmp_path / name).write_text(text)
    return tmp_path


def run(name: str, exported: Path, folder: Path, blocked: tuple[str, ...]) -> tuple[int, str]:
    if why := lacks(name):
        pytest.skip(why)
    environment = {key: text for key, text in os.environ.items() if key != "PYTHONPATH"}
    command = processes.without(blocked, name, exported)
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def test_the_page_has_a_program_a_format():
    assert set(programs()) == {"check.py", *PROGRAMS}
    for kind in export.formats():
        assert f"| `{kind}` |" in PAGE


@pytest.mark.slow
def test_what_is_ours_is_blocked(elsewhere, exports):
    (elsewhere / "cheat.py").write_text("import animclip_jax\n")
    code, said = run("cheat.py", exports, elsewhere, OURS)
    assert code != 0 and "No module named 'animclip_jax'" in said


@pytest.mark.slow
@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_runs_without_ours(name, elsewhere, exports):
    kind, others = PROGRAMS[name]
    code, said = run(name, exports / kind, elsewhere, OURS + others)
    assert code == 0, said
    assert "[[" in said, "it prints a matrix"


def test_bfloat16_is_read_as_float32(tmp_path):
    values = np.array([[1.5, -2.0], [3e38, 0.0]], np.float32)
    given = {"one": values.astype(ml_dtypes.bfloat16), "other": values}
    safetensors_file.write(tmp_path / "file", given)
    read: dict[str, Any] = {}
    exec(programs()["check.py"], read)
    found = read["read_tensors"](tmp_path / "file", np)
    for name, value in given.items():
        assert found[name].dtype == np.float32
        np.testing.assert_array_equal(found[name], value.astype(np.float32))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["search_jax.py", "search_tensorflow.py"])
def test_a_program_runs_with_a_model_in_bfloat16(name, elsewhere, tmp_path):
    kind, others = PROGRAMS[name]
    export.export(source(bfloat16()), tmp_path / "out", kind, batch_size(kind))
    code, said = run(name, tmp_path / "out", elsewhere, OURS + others)
    assert code == 0 and "[[" in said, said


def named_packages(name: str) -> list[str]:
    """What the heading above a program says that it needs."""
    heading = re.findall(r"^### [^\n]*, with ([^\n]*)$", PAGE[: PAGE.index(f"# {name}\n")], re.M)[
        -1
    ]
    return re.split(", | and ", heading)


def installed_with(packages: list[str]) -> set[str]:
    """Distributions that pip brings for some, as their own metadata asks for them."""
    found, left = set(), [name.lower() for name in packages]
    while left:
        name = left.pop()
        if name not in found:
            found.add(name)
            needs = map(Requirement, importlib.metadata.requires(name) or [])
            left += [
                re.sub(r"[-_.]+", "-", need.name).lower()
                for need in needs
                if need.marker is None or need.marker.evaluate({"extra": ""})
            ]
    return found


@pytest.mark.slow
def test_jaxs_program_runs_with_the_packages_that_its_heading_names(elsewhere, exports):
    """Every other package that is installed here is blocked, as in an environment of its own."""
    allowed = installed_with(named_packages("search_jax.py"))
    blocked = {
        module
        for module, packages in importlib.metadata.packages_distributions().items()
        if not allowed & {re.sub(r"[-_.]+", "-", package).lower() for package in packages}
    }
    assert {"flax", "safetensors", "tensorflow"} <= blocked
    code, said = run("search_jax.py", exports / "stablehlo", elsewhere, (*OURS, *sorted(blocked)))
    assert code == 0 and "[[" in said, said


@pytest.mark.slow
@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_refuses_what_is_broken_by_name(name, elsewhere, exports, tmp_path):
    kind, others = PROGRAMS[name]
    if why := lacks(name):
        pytest.skip(why)
    held = json.loads((exports / kind / "manifest.json").read_text())["files"]
    largest = max(held, key=lambda file: held[file]["bytes"])
    for change, message in (("flip", "changed since"), ("remove", "missing"), ("kind", "wanted")):
        bad = tmp_path / f"bad-{change}"
        subprocess.run(["cp", "-r", str(exports / kind), str(bad)], check=True)
        if change == "flip":
            raw = bytearray((bad / largest).read_bytes())
            raw[len(raw) // 2] ^= 1
            (bad / largest).write_bytes(raw)
        elif change == "remove":
            (bad / largest).unlink()
        else:
            text = (bad / "manifest.json").read_text().replace(f'"{kind}"', '"other"', 1)
            (bad / "manifest.json").write_text(text)
        code, said = run(name, bad, elsewhere, OURS + others)
        assert code == 1 and message in said, said
        assert change == "kind" or largest in said
