"""From the wheel to the first answer, without installing anything."""

import sys
from pathlib import Path

import pytest

from animclip_jax import api
from benchmarks import set_up


def test_the_parts_are_added_up_and_held_against_the_limit(
    capsys: pytest.CaptureFixture,
) -> None:
    seconds = {"the installation": 30.0, "the first search": 4.25}
    assert set_up.report(seconds, 34.5) == 0
    assert capsys.readouterr().out.splitlines() == [
        "  30.0 s  the installation",
        "   4.2 s  the first search",
        "  34.2 s  in all",
    ]
    assert set_up.report(seconds, 34) == 1
    assert capsys.readouterr().err == "wanted 34 s at most\n"


def test_the_model_is_one_that_searches_and_re_ranks(tmp_path: Path) -> None:
    set_up.write_model(tmp_path / "model")
    assert api.load(tmp_path / "model").reranks


def test_a_part_that_fails_is_named_and_sees_nothing_of_this_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OF_THIS_ONE", "1")
    program = "import os; print(sorted(os.environ), os.getcwd()); raise SystemExit('no room')"
    with pytest.raises(RuntimeError, match="(?s)exit status 1\n.*no room") as caught:
        set_up.run(Path(sys.executable), "-c", program, home=tmp_path)
    assert "OF_THIS_ONE" not in str(caught.value) and f" {tmp_path}\n" in str(caught.value)
