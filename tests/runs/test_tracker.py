"""Trackers beside metrics.jsonl: stand-ins for their packages, and the real ones offline."""

import hashlib
import importlib.util
import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from animclip_jax import settings
from animclip_jax.runs import tracker
from animclip_jax.runs.log import RunLog
from animclip_jax.runs.tracker import Tracker
from animclip_jax.training import loop
from configs import quickstart


class StandIn:
    """A tracker's package, and the run that it begins."""

    def __init__(self) -> None:
        self.given: dict[str, Any] = {}
        self.logged: list[tuple[int, dict[str, float]]] = []
        self.finished, self.breaks_at = 0, -1

    def init(self, **given: Any) -> Any:
        self.given = given
        return SimpleNamespace(log=self.log, finish=self.finish)

    def log(self, values: dict[str, float], step: int) -> None:
        if step == self.breaks_at:
            raise ConnectionError("the network is gone")
        self.logged.append((step, values))

    def finish(self) -> None:
        self.finished += 1


@pytest.fixture(params=tracker.NAMES)
def name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def stand_in(name: str, monkeypatch: pytest.MonkeyPatch) -> StandIn:
    found = StandIn()
    monkeypatch.setitem(sys.modules, name, found)
    return found


def log_steps(name: str, workdir: Path, first: int, steps: range) -> None:
    workdir.mkdir(parents=True, exist_ok=True)
    given = Tracker(name, workdir, {"seed": 3}, goes_on=first > 0)
    with RunLog(workdir, 10, first, quiet=True, tracker=given) as log:
        for step in steps:
            log.log(step, {"loss": float(step), "odd": float("nan")})


def test_it_gets_what_is_logged_and_the_configuration(
    name: str, stand_in: StandIn, tmp_path: Path
) -> None:
    log_steps(name, tmp_path / "mine", 0, range(1, 3))
    assert stand_in.logged == [(1, {"loss": 1.0}), (2, {"loss": 2.0})]
    assert stand_in.given["config"] == {"seed": 3} and stand_in.finished == 1
    began = stand_in.given
    log_steps(name, tmp_path / "mine", 2, range(3, 4))
    assert stand_in.given == began and began["resume"] == "allow", "the same run goes on"
    log_steps(name, tmp_path / "other" / "mine", 0, range(1, 2))
    assert stand_in.given["name"] != began["name"]


def test_a_run_that_begins_anew_in_its_folder_is_another_one_there(
    name: str, stand_in: StandIn, tmp_path: Path
) -> None:
    """Weights & Biases would leave out its first steps, which an earlier run has."""
    log_steps(name, tmp_path, 0, range(1, 9))
    before = stand_in.given["name"]
    log_steps(name, tmp_path, 0, range(1, 3))
    assert stand_in.given["name"] != before
    again = stand_in.given["name"]
    log_steps(name, tmp_path, 2, range(3, 4))
    assert stand_in.given["name"] == again


def test_a_run_of_an_earlier_version_goes_on(name: str, stand_in: StandIn, tmp_path: Path) -> None:
    log_steps(name, tmp_path, 2, range(3, 4))
    key = hashlib.sha256(str(tmp_path.resolve()).encode()).hexdigest()[:8]
    assert stand_in.given["name"] == f"{tmp_path.name}-{key}"


def test_its_run_is_finished_where_the_log_cannot_be_opened(
    name: str, stand_in: StandIn, tmp_path: Path
) -> None:
    (tmp_path / "metrics.jsonl").write_text("rubbish\n{}\n")
    with pytest.raises(ValueError, match="line 1"):
        log_steps(name, tmp_path, 0, range(1))
    assert stand_in.finished == 1


def test_one_that_fails_ends_no_run(
    name: str, stand_in: StandIn, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    stand_in.breaks_at = 2
    log_steps(name, tmp_path, 0, range(1, 5))
    assert [step for step, _ in stand_in.logged] == [1]
    lines = (tmp_path / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [1, 2, 3, 4]
    said = capsys.readouterr().err
    assert said == f"{name} fails, the run goes on without it: the network is gone\n"


def test_one_that_cannot_begin_is_an_error(
    name: str, stand_in: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def init(**_: Any) -> None:
        raise RuntimeError("no account")

    monkeypatch.setattr(stand_in, "init", init)
    with pytest.raises(ValueError, match=f"log.to is {name}: no account; "):
        Tracker(name, tmp_path, {}, goes_on=False)


def test_a_run_that_names_one_logs_there(name: str, stand_in: StandIn, tmp_path: Path) -> None:
    config = SimpleNamespace(log_to=name, steps=10, settings={"seed": 3})
    run: Any = SimpleNamespace(config=config, workdir=tmp_path)
    with loop.open_log(run, 0) as log:
        log.log(1, {"loss": 2.0})
    assert stand_in.logged == [(1, {"loss": 2.0})] and stand_in.given["config"] == {"seed": 3}


def configured(to: str) -> str:
    """What a configuration with that tracker makes of it."""
    config = quickstart.get_config()
    config.log.to = to
    return settings.training(config).log_to


def test_a_tracker_that_is_none_or_lacks_its_package_is_an_error_before_a_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert configured("") == ""
    with pytest.raises(ValueError, match="log.to is 'mlflow': wanted wandb or trackio"):
        configured("mlflow")
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name in tracker.NAMES else find(name)
    )
    for name in tracker.NAMES:
        with pytest.raises(ValueError, match=rf'pip install "animclip-jax\[{name}\]"'):
            configured(name)


def test_wandb_without_a_network_writes_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("wandb", reason="pip install -e '.[wandb]'")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    log_steps("wandb", tmp_path, 0, range(1, 4))
    (kept,) = (tmp_path / "wandb").glob("offline-run-*/run-*.wandb")
    assert b"loss" in kept.read_bytes()


def test_trackio_keeps_a_run_on_this_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "kept"))
    pytest.importorskip("trackio", reason="pip install -e '.[trackio]'")
    log_steps("trackio", tmp_path / "run", 0, range(1, 4))
    files = [path for path in (tmp_path / "kept").rglob("*") if path.is_file()]
    assert any(b"loss" in path.read_bytes() for path in files)
