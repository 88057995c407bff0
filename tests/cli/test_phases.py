"""Commands that work for minutes say what they do."""

import threading

import pytest

from animclip_jax.cli.phases import SECONDS_BETWEEN, phase


def test_a_long_phase_says_again_and_again_that_it_goes_on(capsys: pytest.CaptureFixture) -> None:
    said = ""
    with phase("compiling", seconds_between=0.01):
        # However slow the machine is: the phase lasts until it has spoken twice.
        while said.count("so far") < 2:
            threading.Event().wait(0.01)
            said += capsys.readouterr().err
    said += capsys.readouterr().err
    first, *between, last = said.splitlines()
    assert first == "compiling ..." and last.startswith("compiling: done in ")
    assert all(line.endswith(" s so far") for line in between)
    assert SECONDS_BETWEEN <= 20


def test_a_phase_that_fails_is_not_called_done(capsys: pytest.CaptureFixture) -> None:
    before = threading.active_count()
    with pytest.raises(ValueError), phase("compiling"):
        raise ValueError
    assert capsys.readouterr().err == "compiling ...\n" and threading.active_count() == before
