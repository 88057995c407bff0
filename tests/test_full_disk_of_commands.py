"""Commands on a full disk: one line that names the file, exit code 1, and nothing by halves.

The writers one by one: tests/test_full_disk.py.
"""

import errno
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from flax import traverse_util
from PIL import Image

from animclip_jax import animate_photo, convert, evaluate, export, files, prepare, report, train
from animclip_jax import settings as run_settings
from animclip_jax.cli import flags
from animclip_jax.exporting.source import Source
from animclip_jax.runs import run_config
from animclip_jax.training.checkpoint import Checkpoints, has_one
from animclip_jax.training.step import TrainState
from configs import quickstart
from input_pipeline.media.video import write_video
from tests import a_run, searchable
from tests.exporting import models
from tests.room import room

NOISE = np.random.default_rng(0).integers(0, 256, (6, 64, 64, 3), np.uint8)
Main = Callable[[list[str]], int]


@pytest.fixture(scope="module")
def given(tmp_path_factory) -> Path:
    """A folder with what the commands read: models, pictures, videos, and a run's results."""
    home = tmp_path_factory.mktemp("given")
    searchable.write_converted(home / "clip")
    export.export(models.source(), home / "model", "safetensors")
    export.export(models.source(models.WORDS), home / "words", "safetensors")
    for folder, kind, suffix in (("pictures", "image", "jpg"), ("videos", "video", "mp4")):
        (home / folder).mkdir()
        names = [f"{number}.{suffix}" for number in range(4)]
        for name in names:
            write = write_picture if kind == "image" else write_clip
            write(home / folder / name)
        lines = [{kind: name, "captions": ["a red card"]} for name in names]
        files.write_lines(home / folder / "captions.jsonl", lines)
    (home / "results").mkdir()
    files.write_json(home / "results" / "results.json", a_run.results())
    return home


def write_picture(path: Path) -> None:
    Image.fromarray(NOISE[0]).resize((160, 120)).save(path)


def write_clip(path: Path) -> None:
    write_video(path, NOISE, 6)


def sizes(folder: Path) -> dict[str, int]:
    """Of what a person would take for a result; a store that is made goes on in `.partial`."""
    return {
        path.relative_to(folder).as_posix(): path.stat().st_size
        for path in folder.rglob("*")
        if path.is_file() and ".partial/" not in str(path) and path.suffix != ".lock"
    }


def fails_in_a_line(
    main: Main, argv: list[str], verb: str, named: Path, capsys: pytest.CaptureFixture
) -> None:
    capsys.readouterr()
    assert main(argv) == 1
    said = capsys.readouterr().err.splitlines()
    told = [line for line in said if line.startswith(f"animclip {verb}: ")]
    assert told == said[-1:] and "make room there, then run the same command again" in told[0]
    assert str(named) in told[0] and "Traceback" not in "".join(said)


PREPARED = ["--short-side=64"]
BAKED = [
    *("--config=configs/quickstart.py", "--config.batch_size=2", "--bake=1"),
    *("--config.animation.preset=still", "--config.data.train=folder:{given}/pictures"),
]
CLIP = ["{given}/pictures/0.jpg", "--preset=still", "--num-frames=3", "--image-size=64"]
# By what is made: the verb, its main function, its arguments, and so many bytes a file at most.
COMMANDS: dict[str, tuple[str, Main, list[str], int]] = {
    "videos": ("prepare", prepare.main, ["folder:{given}/videos", *PREPARED], 999),
    "pictures": ("prepare", prepare.main, ["folder:{given}/pictures", *PREPARED], 999),
    "baked": ("prepare", prepare.main, BAKED, 999),
    "own": ("export", export.main, ["{given}/model"], 9999),
    "hf": ("export", export.main, ["{given}/words", "--format=hf"], 99999),
    "stablehlo": ("export", export.main, ["{given}/model", "--format=stablehlo"], 80000),
    "converted": ("convert", convert.main, ["{given}/clip"], 999),
    "hugging face": ("convert", convert.main, ["{given}/words", "--to=hugging_face"], 99999),
    "clip.gif": ("animate", animate_photo.main, CLIP, 999),
    "clip.mp4": ("animate", animate_photo.main, CLIP, 99),
    "sheet.png": ("animate", animate_photo.main, CLIP, 999),
}


# What JAX says of the compiled programs that it would keep for the tests to come.
@pytest.mark.filterwarnings("ignore:Error writing persistent compilation cache entry")
@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_without_room_says_so_and_leaves_nothing_by_halves(name, given, tmp_path, capsys):
    verb, main, arguments, most = COMMANDS[name]
    command = [one.format(given=given) for one in arguments]
    command.append(f"--out={tmp_path / name}")
    with room(most):
        fails_in_a_line(main, command, verb, tmp_path / name, capsys)
    assert not sizes(tmp_path)
    assert main(command) == 0, "the next run finds nothing in its way"
    assert max(sizes(tmp_path).values()) > most


def test_a_report_without_room_leaves_the_page_that_was_there(given, tmp_path, capsys):
    run = shutil.copytree(given / "results", tmp_path / "run")
    (run / "report.html").write_text("before")
    with room(9):
        fails_in_a_line(report.main, [str(run)], "report", run / "report.html", capsys)
    assert (run / "report.html").read_text() == "before"


@pytest.fixture
def run(tmp_path) -> Path:
    """A run that has saved a checkpoint."""
    config = quickstart.get_config()
    config.model.vision.layers = config.model.text.layers = 1
    config.data.eval, config.data.cache_dir = "drawn:val:6", str(tmp_path / "cache")
    config.evaluation.rerank_k = 4
    run_config.claim(tmp_path / "run", run_settings.plain(config))
    source: Source = models.source(run_settings.retriever(config))
    tree = traverse_util.unflatten_dict(source.params, sep="/")
    with Checkpoints(tmp_path / "run") as checkpoints:
        checkpoints.save(5, TrainState(np.int32(5), tree, ()))
    return tmp_path / "run"


@pytest.mark.slow
def test_an_evaluation_without_room_leaves_the_results_that_were_there(run, capsys):
    flags = [f"--workdir={run}", "--config.data.eval=drawn:val:5"]
    assert evaluate.main(flags) == 0  # draws the videos
    assert evaluate.main([*flags, "--config.data.eval=drawn:val:4"]) == 0
    assert not (run / ".new").exists()
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    # No room for a picture; then for all of it except results.json, the largest file.
    for left in (500, (run / "results.json").stat().st_size - 100):
        with room(left):
            fails_in_a_line(evaluate.main, flags, "evaluate", run, capsys)
        assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before


@pytest.mark.slow
# See tests/test_full_disk.py: Orbax closes its event loop while other writes are failing.
@pytest.mark.filterwarnings("ignore:Exception ignored in:pytest.PytestUnraisableExceptionWarning")
def test_a_training_without_room_for_its_checkpoint_keeps_the_one_before(
    tmp_path, monkeypatch, capsys
):
    """Before Orbax begins to write, which would print a traceback for every array."""
    workdir, usage = tmp_path / "run", shutil.disk_usage
    command = [*a_run.SHRUNK, "--config.steps=2", "--config.checkpoint.every=1"]
    command += [f"--workdir={workdir}", f"--config.data.cache_dir={tmp_path / 'cache'}"]

    free = iter([10**9, 1000])

    def full(folder):
        return usage(folder)._replace(free=next(free))

    monkeypatch.setattr(shutil, "disk_usage", full)
    fails_in_a_line(train.main, command, "train", workdir / "checkpoints", capsys)
    assert [path.name for path in (workdir / "checkpoints").iterdir()] == ["1"]
    assert has_one(workdir) and not (workdir / "finished").exists()


def test_a_verb_that_finds_no_place_for_temporary_files_says_so(monkeypatch, capsys):
    """TensorFlow looks for one while it is imported, before any verb's main function."""

    def without(verb):
        raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found in ['/tmp']")

    monkeypatch.setattr(flags, "load", without)
    assert flags.main(["evaluate", "--workdir=run"]) == 1
    said = capsys.readouterr().err
    assert said == (
        "animclip evaluate: [Errno 2] No usable temporary directory found in ['/tmp']\n"
    )
