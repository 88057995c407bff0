"""Watch: one step late, at the steps that are to be logged; and what stops a run."""

from types import SimpleNamespace
from typing import Any

import pytest

from animclip_jax.training import loop
from animclip_jax.training.watch import Watch


class Log:
    def __init__(self):
        self.lines, self.steps = [], []

    def done(self, step):
        self.steps.append(step)

    def log(self, step, values):
        self.lines.append((step, values))


def watch(tmp_path, log, **changes):
    given: dict[str, Any] = {
        "first": 0,
        "last": 5,
        "every": 2,
        "batch_size": 8,
        "names": lambda index: [f"picture {i}" for i in index],
        "learning_rate": lambda step: 0.1 * step,
    }
    return Watch(tmp_path, log, **given | changes)


def metrics(loss=1.0, gradient_norm=2.0):
    return {"loss": loss, "gradient_norm": gradient_norm}


def test_a_step_is_logged_when_the_next_is_under_way(tmp_path):
    log = Log()
    watched = watch(tmp_path, log)
    for step in range(1, 6):
        watched.started(step, metrics(loss=float(step)), [])
        assert [line[0] for line in log.lines] == [n for n in (2, 4) if n < step]
    watched.look()
    assert log.steps == [1, 2, 3, 4, 5]
    assert [(step, values["loss"]) for step, values in log.lines] == [(2, 2.0), (4, 4.0), (5, 5.0)]
    assert log.lines[0][1]["learning_rate"] == pytest.approx(0.1)


def test_times_are_those_of_the_steps_since_the_last_line(tmp_path, monkeypatch):
    clock = iter([10.0, 11.0, 14.0, 20.0])
    monkeypatch.setattr("animclip_jax.training.watch.time.perf_counter", lambda: next(clock))
    log = Log()
    watched = watch(tmp_path, log)
    watched.peak_seconds = 1.0
    assert watched.next_batch(iter([{"a": 1}])) == {"a": 1}  # from 11 to 14
    watched.started(1, metrics(), [])
    watched.started(2, metrics(), [])
    watched.look()  # at 20, begun at 10: two steps
    ((_, values),) = log.lines
    assert values["step_seconds"] == 5.0
    assert values["clips_per_second"] == 8 / 5.0
    assert values["input_wait"] == pytest.approx(0.3)
    assert values["mfu"] == pytest.approx(0.2)


def test_times_of_steps_are_without_those_of_saving(tmp_path, monkeypatch):
    clock = [10.0]
    monkeypatch.setattr("animclip_jax.training.watch.time.perf_counter", lambda: clock[0])

    def spend(*_):
        clock[0] += 100

    monkeypatch.setattr(loop, "push", spend)
    log = Log()
    watched = watch(tmp_path, log)
    anything: Any = None
    checkpoints: Any = SimpleNamespace(save=spend)
    for step in (1, 2):
        watched.started(step, metrics(), [])
        clock[0] += 3
        loop.save(anything, checkpoints, watched, step, anything)
    ((_, values),) = log.lines
    assert values["step_seconds"] == 3.0


def test_times_of_steps_are_without_those_of_validation(tmp_path, monkeypatch):
    clock = [10.0]
    monkeypatch.setattr("animclip_jax.training.watch.time.perf_counter", lambda: clock[0])
    log = Log()
    watched = watch(tmp_path, log)

    class Validation:
        def look(self, now, state):
            clock[0] += 100
            return ""

    run: Any = SimpleNamespace(config=SimpleNamespace(validate_every=1, steps=5))
    validation: Any = Validation()
    state: Any = None
    for step in (1, 2):
        watched.started(step, metrics(), [])
        clock[0] += 3
        loop.validate(run, validation, watched, step, state)
    ((_, values),) = log.lines
    assert values["step_seconds"] == 3.0
    watched.started(3, metrics(), [])
    watched.started(4, metrics(), [])
    clock[0] += 4
    watched.look()
    assert log.lines[1][1]["step_seconds"] == 2.0


def test_times_of_steps_are_without_those_of_what_comes_before_the_first(tmp_path, monkeypatch):
    """The first line after each start would count the compilation as steps."""
    clock = [10.0]
    monkeypatch.setattr("animclip_jax.training.watch.time.perf_counter", lambda: clock[0])

    def spend(*_):
        clock[0] += 100

    def peak(*_):
        spend()
        return 1.5

    def compiled():
        spend()
        return "the program"

    monkeypatch.setattr(loop.data, "keep_samples", spend)
    monkeypatch.setattr(loop.mfu, "peak_seconds", peak)
    log = Log()
    watched = watch(tmp_path, log)
    run: Any = SimpleNamespace(
        config=SimpleNamespace(model=None), workdir=tmp_path, examples=None, mesh=None
    )
    anything: Any = None
    advance: Any = SimpleNamespace(lower=lambda *_: SimpleNamespace(compile=compiled))
    loop.keep_samples(run, watched, anything, [])
    assert loop.compiled(run, watched, advance, {}, anything, anything) == "the program"
    assert clock[0] == 310.0
    for step in (1, 2):
        watched.started(step, metrics(), [])
        clock[0] += 3
    watched.look()
    ((_, values),) = log.lines
    assert values["step_seconds"] == 3.0 and values["mfu"] == 0.5


@pytest.mark.parametrize("wrong", [{"loss": float("nan")}, {"gradient_norm": float("inf")}])
def test_what_is_not_finite_stops_the_run_and_names_the_batch(tmp_path, wrong):
    watched = watch(tmp_path, None)
    watched.started(3, metrics(**wrong), [4, 7])
    with pytest.raises(ValueError, match=r"step 3 is not finite: .*picture 4, picture 7"):
        watched.started(4, metrics(), [1])
    assert "picture 7\n" in (tmp_path / "not_finite.txt").read_text()


def test_each_of_several_processes_names_its_own_part(tmp_path, monkeypatch):
    monkeypatch.setattr("animclip_jax.training.watch.jax.process_count", lambda: 2)
    for process in range(2):
        monkeypatch.setattr("animclip_jax.training.watch.jax.process_index", lambda n=process: n)
        watched = watch(tmp_path, None)
        watched.started(3, metrics(loss=float("nan")), [process])
        with pytest.raises(ValueError, match=f"This process's part .* picture {process}"):
            watched.look()
    for process in range(2):
        text = (tmp_path / f"not_finite.{process}.txt").read_text()
        assert text.endswith(f"picture {process}\n") and text.count("picture") == 1
