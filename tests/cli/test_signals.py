"""Ctrl-C, SIGTERM and a closed pipe end every command in one line at most, with its exit code."""

import argparse
import importlib
import os
import signal
import subprocess
import sys
from typing import Any
from unittest.mock import Mock

import pytest

from animclip_jax import index, prepare, search
from animclip_jax.cli import flags, signals

CODES = [(signal.SIGINT, "Ctrl-C", 130), (signal.SIGTERM, "SIGTERM", 143)]


@pytest.mark.parametrize(("number", "name", "code"), CODES)
@pytest.mark.parametrize("verb", flags.VERBS)
def test_a_signal_ends_every_verb_in_one_line(verb, number, name, code, capsys, monkeypatch):
    main = flags.load(verb)
    before = signal.getsignal(signal.SIGTERM)

    def hit(*_, **__):
        assert signal.getsignal(number) is not signal.SIG_DFL, "it would end this test, too"
        os.kill(os.getpid(), number)

    # Every verb begins with one or the other.
    for reader in ("parse_args", "parse_intermixed_args"):
        monkeypatch.setattr(argparse.ArgumentParser, reader, hit)
    monkeypatch.setattr(flags, "parse_flags", hit)
    # A training that is preempted is no failure: who started it starts it again.
    assert main([]) == (0 if (verb, name) == ("train", "SIGTERM") else code)
    assert capsys.readouterr().err == f"animclip {verb}: stopped by {name}\n"
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_signal_while_a_verb_is_imported(capsys, monkeypatch):
    monkeypatch.setattr(importlib, "import_module", Mock(side_effect=KeyboardInterrupt))
    assert flags.main(["evaluate"]) == 130
    assert capsys.readouterr().err == "animclip: stopped by Ctrl-C\n"


@pytest.mark.parametrize("verb", flags.VERBS)
def test_ctrl_c_while_a_module_that_python_runs_still_imports(verb):
    program = (
        "import os, runpy, signal, sys\n"
        "class Interrupting:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name == 'animclip_jax.options.{verb}':\n"
        "            os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.meta_path.insert(0, Interrupting())\n"
        f"runpy.run_module({flags.module(verb)!r}, run_name='__main__', alter_sys=True)"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (run.returncode, run.stderr) == (130, "animclip: stopped by Ctrl-C\n")


def test_what_to_do_next_is_noted_on_the_way(capsys):
    @signals.stoppable("animclip x")
    def main(argv=None):
        try:
            os.kill(os.getpid(), signal.SIGTERM)
        except KeyboardInterrupt as stop:
            stop.add_note("run it again")
            raise

    assert main() == 143
    assert capsys.readouterr().err == "animclip x: stopped by SIGTERM; run it again\n"


@pytest.mark.parametrize("gone", ["stdout", "stderr"])
def test_a_reader_that_has_gone_is_no_news(gone):
    reading, writing = os.pipe()
    os.close(reading)
    program = (
        "import sys; from animclip_jax.cli.signals import stoppable\n"
        "@stoppable('animclip x')\n"
        f"def main(argv=None): print('much', file=sys.{gone}, flush=True); return 0\n"
        "sys.exit(main())"
    )
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, gone: writing}
    with subprocess.Popen([sys.executable, "-c", program], text=True, **pipes) as process:
        os.close(writing)
        said = process.communicate(timeout=60)
    assert process.returncode == 141
    assert not any(said), said


def test_a_list_of_verbs_may_be_cut_short_by_its_reader():
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "animclip_jax", "--help"]
    with subprocess.Popen(command, stdout=writing, stderr=subprocess.PIPE, text=True) as process:
        os.close(writing)
        assert process.communicate(timeout=60)[1] == ""
    assert process.returncode == 141


@pytest.mark.parametrize(
    "verb, step, words",
    [
        (prepare, "_prepare", ["folder:x", "--out=y"]),
        (index, "_index", [".", "--model=m", "--out=y"]),
        (search, "open_index", ["x", "a dog"]),
    ],
)
def test_a_closed_pipe_is_no_error_of_the_command(verb, step, words, capsys, monkeypatch):
    monkeypatch.setattr(verb, step, Mock(side_effect=BrokenPipeError))
    assert verb.main(words) == 141
    assert capsys.readouterr().err == ""


def test_results_may_be_cut_short_by_their_reader(indexed, monkeypatch, capsys):
    monkeypatch.setattr(search.moments, "written", Mock(side_effect=BrokenPipeError))
    assert search.main([str(indexed), "a dog", "--json"]) == 141
    assert capsys.readouterr().err == ""
