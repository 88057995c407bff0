"""RunLog: what it writes, that no step is ever there twice, and what it shows."""

import io
import json
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest

from animclip_jax.runs import log as run_log
from animclip_jax.runs.log import RunLog


def lines(workdir):
    return [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]


def log_steps(workdir, first, steps, **metrics):
    with RunLog(workdir, 100, first, quiet=True) as log:
        for step in steps:
            log.log(step, metrics or {"loss": float(step)})


def test_a_line_a_step_is_on_disk_at_once(tmp_path):
    with RunLog(tmp_path, 100, 0, quiet=True) as log:
        log.log(1, {"loss": 2.5, "clips_per_second": 10})
        assert lines(tmp_path) == [{"step": 1, "loss": 2.5, "clips_per_second": 10.0}]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_not_finite_becomes_null(tmp_path, value):
    log_steps(tmp_path, 0, [1], loss=value, matching=1.0)
    assert lines(tmp_path) == [{"step": 1, "loss": None, "matching": 1.0}]


def test_resuming_drops_the_steps_that_are_done_again(tmp_path):
    log_steps(tmp_path, 0, [10, 20, 30, 40])
    log_steps(tmp_path, 20, [30, 40], loss=-1.0)
    assert [(entry["step"], entry["loss"]) for entry in lines(tmp_path)] == [
        (10, 10.0),
        (20, 20.0),
        (30, -1.0),
        (40, -1.0),
    ]


def test_beginning_anew_drops_everything(tmp_path):
    log_steps(tmp_path, 0, [10, 20])
    log_steps(tmp_path, 0, [10])
    assert [entry["step"] for entry in lines(tmp_path)] == [10]


@pytest.mark.parametrize("torn", ['{"step": 30, "lo', "{", '{"step": 3', "\0\0\0"])
def test_a_torn_last_line_is_healed(tmp_path, torn):
    log_steps(tmp_path, 0, [10, 20])
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write(torn)
    log_steps(tmp_path, 20, [30])
    assert [entry["step"] for entry in lines(tmp_path)] == [10, 20, 30]


def test_a_last_line_without_its_newline_is_kept(tmp_path):
    (tmp_path / "metrics.jsonl").write_text('{"step": 10, "loss": 1.0}')
    log_steps(tmp_path, 10, [20])
    assert [entry["step"] for entry in lines(tmp_path)] == [10, 20]


def test_damage_elsewhere_is_an_error_that_names_the_line(tmp_path):
    (tmp_path / "metrics.jsonl").write_text('{"step": 1}\nrubbish\n{"step": 3}\n')
    with pytest.raises(ValueError, match=r"metrics\.jsonl, line 2: found b'rubbish'"):
        RunLog(tmp_path, 100, 3, quiet=True)


def test_a_step_twice_is_an_error(tmp_path):
    with RunLog(tmp_path, 100, 0, quiet=True) as log:
        log.log(5, {"loss": 1.0})
        with pytest.raises(ValueError, match="step 5 comes after step 5"):
            log.log(5, {"loss": 1.0})
    with RunLog(tmp_path, 100, 5, quiet=True) as log, pytest.raises(ValueError, match="step 5"):
        log.log(5, {"loss": 1.0})


def test_tensorboard_scalars_without_tensorflow(tmp_path):
    program = (
        "import pathlib, sys; from animclip_jax.runs.log import RunLog\n"
        "assert 'tensorboardX' not in sys.modules\n"
        f"log = RunLog(pathlib.Path({str(tmp_path)!r}), 10, 0, quiet=True)\n"
        "log.log(1, {'loss': 0.125}); log.close()\n"
        "assert not {'tensorflow', 'tensorboard', 'jax'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
    (events,) = (tmp_path / "tensorboard").iterdir()
    assert b"loss" in events.read_bytes()


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_on_a_terminal_a_bar_shows_step_loss_speed_and_time_left(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "stderr", stderr := Terminal())
    # In a narrow one, a high rate leaves no room. tqdm asks for both or neither.
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("LINES", "50")
    with RunLog(tmp_path, 100, 40) as log:
        log.log(50, {"loss": 1.2345678, "clips_per_second": 321.0})
        log.note("a checkpoint was saved")
        assert log.bar is not None
        log.bar.refresh()
    shown = stderr.getvalue()
    assert "50/100" in shown and "loss=1.235" in shown and "clips/s=321" in shown
    assert "<" in shown  # elapsed<left
    assert "a checkpoint was saved\n" in shown


def test_the_bar_says_that_it_compiles_and_moves_at_every_step(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "stderr", stderr := Terminal())
    with RunLog(tmp_path, 3, 0) as log:
        assert "compiling the step:   0%" in stderr.getvalue()
        log.done(1)
        assert log.bar is not None
        log.bar.refresh()
        assert "1/3" in stderr.getvalue().rsplit("\r", 1)[-1]
        assert "compiling" not in stderr.getvalue().rsplit("\r", 1)[-1]


def test_elsewhere_a_plain_line_now_and_then(tmp_path, monkeypatch, capsys):
    clock = iter(0.01 * i for i in range(10_000))
    monkeypatch.setattr(
        run_log, "time", SimpleNamespace(monotonic=lambda: next(clock), time=time.time)
    )
    with RunLog(tmp_path, 1000, 0) as log:
        for step in range(1, 1001):
            log.log(step, {"loss": 0.5, "clips_per_second": 7.0})
    shown = capsys.readouterr().err
    assert "\r" not in shown
    assert len(shown.splitlines()) == 11
    assert shown.startswith("compiling the train step; this can take some minutes\n")
    assert shown.splitlines()[-1] == "step 1000/1000, loss 0.5, clips/s 7, 00:00 left"


def test_elsewhere_ten_seconds_are_enough_for_a_line(tmp_path, monkeypatch, capsys):
    clock = iter(11.0 * i for i in range(10))
    monkeypatch.setattr(
        run_log, "time", SimpleNamespace(monotonic=lambda: next(clock), time=time.time)
    )
    with RunLog(tmp_path, 1000, 0) as log:
        log.log(1, {"loss": 0.5})
    # One step took 11 seconds, 999 are left.
    assert capsys.readouterr().err.splitlines()[1:] == ["step 1/1000, loss 0.5, 3:03:09 left"]


def test_quiet_prints_nothing(tmp_path, capsys):
    with RunLog(tmp_path, 1, 0, quiet=True) as log:
        log.log(1, {"loss": 1.0})
        log.note("something")
    captured = capsys.readouterr()
    assert captured.err == captured.out == ""
