"""Tests of setup.py and of the Makefile's set-up: what is installed, and from which Python."""

import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from animclip_jax.engines.place import SCHEMES
from animclip_jax.runs import tracker
from configs import quickstart
from tests.repository import ROOT, tracked

# An interpreter that only writes down how it is called, in calls.log beside the Makefile.
STUB = """#!/bin/sh
case "$1 $2 $3" in
  "-c "*version_info*) echo {version};;
  "-c "*ensurepip*) exit {no_venv};;
  "-m venv --clear") echo venv >> calls.log; rm -rf "$4"; mkdir -p "$4/bin"
    cp "$0" "$4/bin/python"; touch "$4/pyvenv.cfg";;
  "-m pip install") echo "pip $*" >> calls.log; test ! -e broken;;
esac
"""


def copy_of_the_repository(directory: Path) -> Path:
    """The files that git has or would take, as in a fresh clone."""
    for path in tracked():
        copied = directory / path.relative_to(ROOT)
        copied.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copied)
    return directory


def python(path: Path, version: str, no_venv: int = 0) -> Path:
    path.write_text(STUB.format(version=version, no_venv=no_venv))
    path.chmod(0o755)
    return path


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess]:
    """Runs make in a folder that holds what its set-up reads."""
    if shutil.which("make") is None:
        pytest.skip("make is not installed")
    for name in ("Makefile", "setup.py", "README.md", "constraints"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, tmp_path / name)

    def run(*arguments: str) -> subprocess.CompletedProcess:
        # Without what `make PYTHON=... test` hands down, and without the interpreters of pyenv.
        ours = ("MAKEFLAGS", "MAKELEVEL", "MFLAGS", "PYTHON", "VENV", "PYENV_ROOT")
        environment = {name: text for name, text in os.environ.items() if name not in ours}
        environment["HOME"] = str(tmp_path)
        command = ["make", "--no-print-directory", *arguments]
        return subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True
        )

    return run


def calls(directory: Path) -> list[str]:
    log = directory / "calls.log"
    lines = log.read_text().splitlines() if log.exists() else []
    log.unlink(missing_ok=True)
    return lines


def test_set_up_installs_once(make: Callable, tmp_path: Path) -> None:
    stub = f"PYTHON={python(tmp_path / 'python', '3.11')}"
    assert make("setup", stub).returncode == 0
    made, installed = calls(tmp_path)
    assert made == "venv" and "-c constraints/py311.txt -e .[dev]" in installed
    for arguments in (("setup", stub), ("setup",), ("-n", "setup")):
        assert make(*arguments).returncode == 0
        assert calls(tmp_path) == [], "the second call, also one that names no Python"
    later = (tmp_path / ".venv" / ".installed-py311").stat().st_mtime + 10
    os.utime(tmp_path / "setup.py", (later, later))
    assert make("setup", stub).returncode == 0
    (updated,) = calls(tmp_path)
    assert updated.startswith("pip"), "requirements that changed are installed into what is there"


def test_set_up_follows_the_python_that_is_named(make: Callable, tmp_path: Path) -> None:
    for version, tag in (
        ("3.11", "py311"),
        ("3.12", "py312"),
        ("3.13", "py313"),
        ("3.11", "py311"),
    ):
        assert make("setup", f"PYTHON={python(tmp_path / tag, version)}").returncode == 0
        made, installed = calls(tmp_path)
        assert made == "venv" and f"constraints/{tag}.txt" in installed
        assert (tmp_path / ".venv" / f".installed-{tag}").exists()


def test_set_up_that_did_not_end_is_done_again(make: Callable, tmp_path: Path) -> None:
    stub = f"PYTHON={python(tmp_path / 'python', '3.12')}"
    (tmp_path / "broken").touch()
    run = make("setup", stub)
    assert run.returncode != 0 and "the installation failed" in run.stderr
    assert not list((tmp_path / ".venv").glob(".installed*"))
    (tmp_path / "broken").unlink()
    calls(tmp_path)
    assert make("setup", stub).returncode == 0
    assert calls(tmp_path)[0] == "venv", "from an empty environment"
    later = (tmp_path / ".venv" / ".installed-py312").stat().st_mtime + 10
    os.utime(tmp_path / "setup.py", (later, later))
    (tmp_path / "broken").touch()
    assert make("setup", stub).returncode != 0, "an update"
    (tmp_path / "broken").unlink()
    calls(tmp_path)
    assert make("setup", stub).returncode == 0
    assert calls(tmp_path)[0] == "venv", "nor is a broken one mended"


def test_set_up_notices_that_the_folder_moved(make: Callable, tmp_path: Path) -> None:
    stub = f"PYTHON={python(tmp_path / 'python', '3.12')}"
    assert make("setup", stub).returncode == 0
    calls(tmp_path)
    (tmp_path / ".venv" / ".installed-py312").write_text("/where/it/was\n")
    assert make("setup", stub).returncode == 0
    assert calls(tmp_path)[0] == "venv"


@pytest.mark.parametrize("version", ["3.9", "3.10", "3.14", "3.1", "2.7"])
def test_another_python_is_refused(make: Callable, tmp_path: Path, version: str) -> None:
    stub = python(tmp_path / "other", version)
    run = make("setup", f"PYTHON={stub}")
    assert run.returncode != 0 and calls(tmp_path) == []
    assert "needs Python 3.11 to 3.13" in run.stderr and f"{stub}={version}" in run.stderr
    assert "make PYTHON=" in run.stderr


def test_a_python_without_venv_and_a_folder_that_is_none(make: Callable, tmp_path: Path) -> None:
    run = make("setup", f"PYTHON={python(tmp_path / 'bare', '3.11', no_venv=1)}")
    assert run.returncode != 0 and "apt install python3.11-venv" in run.stderr
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").touch()
    run = make("setup", f"PYTHON={python(tmp_path / 'python', '3.11')}", "VENV=mine")
    assert run.returncode != 0 and "mine is no Python environment" in run.stderr
    assert (tmp_path / "mine" / "letter.txt").exists() and calls(tmp_path) == []


def test_make_alone_lists_the_targets(make: Callable) -> None:
    listed = make().stdout
    for target in (
        "setup",
        "quickstart",
        "demo-search",
        "test",
        "test-quick",
        "test-all",
        "lint",
        "types",
        "format",
        "clean",
    ):
        assert f"make {target} " in listed


def test_the_demo_takes_a_model_and_a_folder_of_videos(tmp_path: Path) -> None:
    def told(*given: str) -> str:
        asked = ("make", "-n", "-C", str(ROOT), "demo-search", *given)
        return subprocess.run(asked, capture_output=True, text=True, check=True).stdout

    yours = told("MODEL=openai/clip-vit-base-patch32", f"VIDEOS={tmp_path}")
    assert f'index "{tmp_path}" --model "openai/clip-vit-base-patch32" --out' in yours
    assert "films" not in yours and "--no-shots" not in yours
    assert "wanted both" in told("MODEL=openai/clip-vit-base-patch32")
    drawn = told()
    assert "input_pipeline.drawn.films" in drawn and "index-of-yours" not in drawn


def test_the_quickstart_trains_all_arms_and_reports_where_the_demo_looks() -> None:
    asked = ("make", "-n", "-C", str(ROOT), "quickstart")
    told = subprocess.run(asked, capture_output=True, text=True, check=True).stdout
    train = "train --config=configs/quickstart.py --sweep --workdir=runs/quickstart\n"
    assert told.index(train) < told.index("report runs/quickstart\n")
    demo = re.search(r"^DEMO_RUN \?= (\S+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert demo is not None and demo[1] == f"runs/quickstart/{next(iter(quickstart.sweep()))}"


def test_every_python_with_constraints_may_install() -> None:
    tags = {path.stem for path in (ROOT / "constraints").glob("py*")}
    assert tags == {"py311", "py312", "py313"}
    setup = (ROOT / "setup.py").read_text()
    listed = re.findall(r'"Programming Language :: Python :: 3\.(\d+)"', setup)
    assert {f"py3{minor}" for minor in listed} == tags
    assert f'python_requires=">=3.{min(listed)},<3.{int(max(listed)) + 1}"' in setup


def test_the_oldest_versions_are_those_that_set_up_allows() -> None:
    """A bound that is lowered, or raised, is then tested as such."""
    lines = (ROOT / "constraints" / "oldest-py311.txt").read_text().splitlines()
    pins = dict(line.split("==") for line in lines if not line.startswith("#"))
    base = (ROOT / "setup.py").read_text().split("extras_require")[0]
    bounds = re.findall(r'^ {4,8}f?"([\w-]+)(?:\[\w+\])?>=([\d.]+)', base, re.M)
    assert len(bounds) > 25
    for name, bound in bounds:
        pinned = pins[name.lower().replace("_", "-")]
        assert pinned == bound or re.fullmatch(rf"{re.escape(bound)}(\.0)+", pinned), name


def test_every_extra_that_is_named_exists() -> None:
    """In messages, docs, the Makefile and CI; an engine and a tracker are extras of their name."""
    setup = (ROOT / "setup.py").read_text()
    extras = set(re.findall(r'^        "(\w+)": \[|^        "(\w+)": [A-Z]+,', setup, re.M))
    known = {first or second for first, second in extras}
    named = {*SCHEMES, *tracker.NAMES}
    for path in tracked():
        if path.suffix in (".py", ".md", ".sh", ".ipynb", "") and path.parent.name != "findings":
            text = path.read_text(errors="ignore")
            for listed in re.findall(r"""installs\(["'](\w+)["']\)|["' ]\.\[([\w,]+)\]""", text):
                named |= set("".join(listed).split(","))
            for listed in re.findall(r"animclip-jax\[([\w,]+)\]", text):
                named |= set(listed.split(","))
    assert len(named) > 12 and named <= known, named - known


@pytest.mark.parametrize("tag", ["py311", "py312", "py313", "oldest-py311"])
def test_constraints_are_plain_versions(tag: str) -> None:
    lines = (ROOT / "constraints" / f"{tag}.txt").read_text().splitlines()
    pins = [line.partition("==") for line in lines if not line.startswith("#")]
    assert all(name and version and "+" not in version for name, _, version in pins), pins
    names = [name.lower().replace("_", "-") for name, _, _ in pins]
    assert names == sorted(set(names))
    assert {"jax", "jaxlib", "flax", "tensorflow-cpu", "numpy", "pytest"} <= set(names)


@pytest.mark.slow
def test_the_wheel_holds_everything_and_its_command_works(tmp_path: Path) -> None:
    source = copy_of_the_repository(tmp_path / "source")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    quiet = ["--quiet", "--no-deps", "--no-index"]
    build = [*pip, "wheel", *quiet, "--no-build-isolation", "-w", str(tmp_path), str(source)]
    subprocess.run(build, check=True)
    (wheel,) = tmp_path.glob("animclip_jax-*.whl")
    inside = set(zipfile.ZipFile(wheel).namelist())
    for package, above in (
        ("animclip_jax", ""),
        ("input_pipeline", ""),
        ("configs", "animclip_jax/"),
    ):
        paths = [path for path in (source / package).rglob("*") if path.is_file()]
        assert paths
        wanted = {above + path.relative_to(source).as_posix() for path in paths}
        assert wanted - inside == set()
    top = {name.split("/")[0] for name in inside if ".dist-info/" not in name}
    assert top == {"animclip_jax", "input_pipeline"}

    installed = tmp_path / "installed"
    subprocess.run([*pip, "install", *quiet, "--target", str(installed), str(wheel)], check=True)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    command = [sys.executable, str(installed / "bin" / "animclip")]
    environment = os.environ | {"PYTHONPATH": str(installed)}

    def animclip(*arguments: str) -> str:
        run = subprocess.run(
            [*command, *arguments], cwd=elsewhere, env=environment, capture_output=True, text=True
        )
        assert run.returncode == 0, run.stderr
        return run.stdout

    assert "evaluate" in animclip("--help")
    ask = "import sys, animclip_jax; print(animclip_jax.__version__, 'jax' in sys.modules)"
    run = subprocess.run(
        [sys.executable, "-c", ask], cwd=elsewhere, env=environment, capture_output=True, text=True
    )
    assert run.stdout.split() == [wheel.name.split("-")[1], "False"]
    for config in ("configs/quickstart.py", "configs/experiments/components.py"):
        shown = animclip("train", f"--config={config}", "--help")
        assert "  optimizer.learning_rate = " in shown and "--workdir" in shown
    own = elsewhere / "mine.py"
    own.write_text("from configs import folders\n\n\nget_config = folders.get_config\n")
    assert "  data.train = " in animclip("train", "--config=mine.py", "--help")
