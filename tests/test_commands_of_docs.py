"""The commands of README and docs, run as they stand, in order, in a fresh folder a page."""

import ast
import re
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import uvicorn

from animclip_jax import serve, train
from animclip_jax.cli import flags
from animclip_jax.cli.flags import VERBS
from animclip_jax.exporting import push
from animclip_jax.models.clip import ClipConfig
from animclip_jax.weights import folder, hub
from tests import captioned, searchable
from tests.repository import ROOT

PAGES = ["README.md", *sorted(str(one.relative_to(ROOT)) for one in ROOT.glob("docs/**/*.md"))]
RUN = [
    *("README.md", "docs/animation.md", "docs/export.md", "docs/motion.md", "docs/results.md"),
    *("docs/engines.md", "docs/search.md"),
]
# Of pages whose other commands are run. That their options exist is tests/test_documents.py's.
NOT_RUN = {
    "docs/data.md": "prepare msrvtt:DIR needs the files of MSR-VTT",
    "docs/experiments/speed.md": "compiles for TPUs for minutes; tests/test_plan.py",
    "docs/launch.md": "needs a TPU, GPUs and a bucket",
    "docs/reproduce.md": "needs corpora, a TPU and days",
    "docs/scaling.md": "compiles for TPUs for minutes; tests/test_plan.py",
    "docs/training.md": "needs several processes; tests/training/test_distributed.py",
    "docs/weights.md": "needs OpenAI's archive; tests/test_convert.py",
}
# Minutes become seconds: two steps of a shallow model, short clips; and a port that is free.
SHORTER = {
    "train": [
        *("--config.steps=2", "--config.batch_size=4", "--config.log_every=1"),
        *("--config.model.vision.layers=1", "--config.model.text.layers=1"),
    ],
    "animate": ["--num-frames=4", "--image-size=32"],
    "serve": ["--port=0"],
}


def blocks(page: str) -> list[tuple[str, str]]:
    """The language and the text of each block of code."""
    text = (ROOT / page).read_text()
    return re.findall(r"^```(\w*)\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def commands(page: str) -> list[list[str]]:
    """The words behind `animclip` of every line of a block that begins so, in order."""
    text = "\n".join(text for language, text in blocks(page) if language in ("", "bash"))
    lines = text.replace("\\\n", " ").splitlines()
    words = [shlex.split(line, comments=True) for line in lines if "animclip" in line]
    return [one[1:] for one in words if one and one[0] in ("animclip", ".venv/bin/animclip")]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with runs/mine as README makes it, and what it was trained on."""
    home = tmp_path_factory.mktemp("trained")
    captioned.write_pictures(home / "PICTURES")
    captioned.write_videos(home / "VIDEOS")
    line = [
        f"--workdir={home / 'runs' / 'mine'}",
        "--config=configs/folders.py",
        f"--config.data.train=folder:{home / 'PICTURES'}",
        f"--config.data.eval=folder:{home / 'VIDEOS'}",
        f"--config.data.cache_dir={home / 'cache'}",
    ]
    assert train.main([*line, *SHORTER["train"]]) == 0
    shutil.copytree(home / "runs" / "mine", home / "runs" / "other")
    return home


@pytest.fixture
def fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fresh folder to work in, a fresh home, and a Hub that gives a small model."""
    small = searchable.write_converted(tmp_path / "small", vocab_size=49408, context_length=77)
    (tmp_path / "hub").mkdir()
    params, config = folder.load(small)
    assert isinstance(config, ClipConfig)
    folder.write_hugging_face(tmp_path / "hub", params, config)
    monkeypatch.setattr(hub, "download", lambda *_: hub.Download(tmp_path / "hub", "0" * 40))
    monkeypatch.setattr(push, "require_free", lambda repository: None)
    monkeypatch.setattr(push, "push", lambda directory, repository, private: repository)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr(uvicorn.Server, "run", lambda self, sockets: None)
    monkeypatch.setattr(serve.webbrowser, "open", lambda address: True)
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    return work


def place_for(page: str, work: Path, trained: Callable[[], Path]) -> None:
    """Puts there what the capital letters of a page stand for, and the runs it begins with."""
    if page == "docs/animation.md":
        for number, name in enumerate(
            ("PHOTO", "OTHER", "coffee.png", "chelsea.png", "rocket.jpg")
        ):
            captioned.write_photo(work / name, number)
        return
    captioned.write_videos(work / "VIDEOS")
    if page == "docs/motion.md":
        captioned.write_pictures(work / "PICTURES")
        for number, name in enumerate(("PHOTO", "coffee.png")):
            captioned.write_photo(work / name, number)
    elif page == "README.md":
        captioned.write_pictures(work / "PICTURES")
        captioned.write_videos(work / "OTHER")
        captioned.write_photo(work / "PHOTO.jpg")
    elif page != "docs/engines.md":
        shutil.copytree(trained() / "runs", work / "runs")
        if page == "docs/results.md":
            # As benchmarks.real_siblings would make of the videos of a real set.
            captioned.write_videos(work / "pairs")


@pytest.mark.slow
@pytest.mark.parametrize("page", RUN)
def test_the_commands_of_a_page_work_as_they_stand(
    page: str, fresh: Path, request: pytest.FixtureRequest
) -> None:
    place_for(page, fresh, lambda: request.getfixturevalue("trained"))
    for verb, *words in commands(page):
        code = flags.load(verb)([*words, *SHORTER.get(verb, [])])
        assert code == 0, f"animclip {verb} {shlex.join(words)}"


def test_every_page_with_commands_is_run_or_says_why_not() -> None:
    with_commands = {page for page in PAGES if any(one[0] in VERBS for one in commands(page))}
    assert with_commands == {*RUN, *NOT_RUN}


@pytest.mark.parametrize("page", PAGES)
def test_what_programs_of_a_page_import_of_ours_is_there(page: str) -> None:
    for text in (text for language, text in blocks(page) if language == "python"):
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.ImportFrom) and re.match(
                r"(animclip_jax|input_pipeline|configs)\b", node.module or ""
            ):
                exec(compile(ast.Module([node], []), page, "exec"), {})


@pytest.mark.long
def test_the_flops_of_a_clip_are_those_that_the_page_says(capsys: pytest.CaptureFixture) -> None:
    (program,) = (text for language, text in blocks("docs/reproduce.md") if language == "python")
    exec(compile(program, "docs/reproduce.md", "exec"), {})
    assert capsys.readouterr().out == "347.1 GFLOP a clip\n"
    assert "## Where 347.1 comes from" in (ROOT / "docs/reproduce.md").read_text()
