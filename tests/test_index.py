"""`animclip index` as a person runs it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from animclip_jax import index
from tests import searchable
from tests.test_architecture import BLOCKED

ROOT = Path(__file__).resolve().parents[1]
# Runs a verb where TensorFlow can't be imported.
WITHOUT_TENSORFLOW = BLOCKED.partition("failed = {}")[0] + (
    "verb = importlib.import_module('animclip_jax.' + sys.argv[1])\n"
    "code = verb.main(sys.argv[2:])\n"
    "assert 'tensorflow' not in sys.modules\n"
    "sys.exit(code)\n"
)


def run(*arguments: object) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-c", WITHOUT_TENSORFLOW, *map(str, arguments)],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )


def test_index_and_search_without_tensorflow(search_model_path, tmp_path):
    videos = searchable.write_videos(tmp_path / "videos")
    (videos / "broken.mp4").write_bytes(b"nothing")
    out = tmp_path / "index"
    made = run("index", videos, "--model", search_model_path, "--out", out, "--processes=2")
    assert made.returncode == 0, made.stderr
    assert "5 videos in 8 segments; this time 5 indexed, 0 unchanged, 0 removed" in made.stdout
    assert f"1 can't be read, listed in {out / 'quarantine.jsonl'}" in made.stdout
    assert "coarse only" not in made.stdout
    found = run("search", out, "a white block", "-n3")
    assert found.returncode == 0, found.stderr
    heading, *lines = found.stdout.splitlines()
    assert heading.split() == ["rank", "before", "reranked", "coarse", "moment"]
    assert [line.split()[0] for line in lines] == ["1", "2", "3"]


def test_converted_weights_say_that_they_search_coarsely(tmp_path, capsys):
    model = searchable.write_converted(tmp_path / "model")
    videos = searchable.write_videos(tmp_path / "videos")
    assert index.main([str(videos), f"--model={model}", f"--out={tmp_path / 'index'}"]) == 0
    assert "no re-ranker: searches of this index are coarse only" in capsys.readouterr().out
    assert not list(tmp_path.glob("index/shards/*/code*")), "no codes that nothing would read"


@pytest.mark.parametrize(
    "arguments, told",
    [
        (["none", "--model=MODEL", "--out=out"], "none: no folder of videos"),
        (["videos", "--model=none", "--out=out"], "none"),
        (["videos", "--model=MODEL", "--out=out", "--window=1"], "wanted 2 to 600 seconds"),
        (["videos", "--model=MODEL", "--out=videos"], "videos: holds something else"),
    ],
)
def test_mistakes_are_told_in_a_line(
    search_model_path, tmp_path, monkeypatch, capsys, arguments, told
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos" / "a.mp4").touch()
    given = [text.replace("MODEL", str(search_model_path)) for text in arguments]
    assert index.main(given) == 1
    error = capsys.readouterr().err
    assert error.startswith("animclip index: ") and error.count("\n") == 1 and told in error
    assert not (tmp_path / "out" / "catalogue.json").exists()
