""" "~" before a name that is no user's: such a path is told as any that is not there."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from animclip_jax import api, index, process, search
from animclip_jax.cli import flags
from animclip_jax.engines import place
from animclip_jax.options import kinds
from animclip_jax.runs import mirror
from animclip_jax.video_index import likeness
from input_pipeline import baked
from input_pipeline.video_sets.download import Download

NAME = "~no-such-user-here/films"


@pytest.mark.parametrize(
    "use, wanted",
    [
        (lambda: kinds.path(NAME), Path(NAME)),
        (lambda: place.given(f"lancedb:{NAME}"), place.Place("lancedb", NAME)),
        (lambda: likeness.written(f"{NAME}.jpg"), (Path(f"{NAME}.jpg"), 1)),
        (lambda: likeness.written(f"{NAME}.mp4@3"), (likeness.At(Path(f"{NAME}.mp4"), 3), 1)),
        (lambda: api.find(NAME), Path(NAME)),
        (lambda: flags._files_of(NAME), []),
        (lambda: mirror.local_folder("gs://a/b", NAME).parent, Path(NAME) / "runs"),
    ],
)
def test_the_name_stays_as_it_is(use: Callable[[], Any], wanted: Any) -> None:
    assert use() == wanted


@pytest.mark.parametrize(
    "use",
    [lambda: Download(NAME), lambda: baked.fingerprint(f"{baked.KIND}{NAME}")],
)
def test_what_is_not_there_is_named(use: Callable[[], Any]) -> None:
    with pytest.raises((OSError, ValueError), match="~no-such-user-here"):
        use()


def test_a_cache_there_is_made_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    process.keep_compiled_programs(NAME)
    assert (tmp_path / NAME).is_dir()


@pytest.mark.parametrize("verb, words", [(index, ["--model=m", "--out=o"]), (search, ["a dog"])])
def test_a_command_says_it_in_a_line(
    verb: Any, words: list[str], capsys: pytest.CaptureFixture
) -> None:
    assert verb.main([NAME, *words]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert NAME in line
