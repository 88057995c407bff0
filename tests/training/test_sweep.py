"""Arms that begin with other arms: what they need is there, or is missed before the first step."""

import re
from pathlib import Path
from typing import Any

import pytest
from etils import epath

from animclip_jax import settings
from animclip_jax.runs import layout
from animclip_jax.training import sweep
from animclip_jax.training.config import TrainingConfig
from animclip_jax.training.sweep import Arms
from animclip_jax.weights import vocabulary
from input_pipeline.tokenizers.opening import open_tokenizer
from tests import vocabularies
from tests.programs import small_family

BOTH = (layout.FINISHED, layout.RESULTS)


def run(
    workdir: Path,
    changes: Arms,
    family: str = "siglip_2",
    left: tuple[str, ...] = BOTH,
    code: int = 0,
    **base: Any,
) -> dict[str, Any]:
    """Each arm's settings as it is trained, by its name; training leaves the files of a run.

    left: those that say that it ended. code: training's, and the sweep's.
    """
    config = small_family.get_config(family)
    config.update_from_flattened_dict(base)
    home = epath.Path(workdir)
    arms = sweep.begun_from(changes, home)
    trained = {}

    def configure(arm: str) -> TrainingConfig:
        return settings.training(settings.changed(config, arms[arm]), home / arm)

    def train(config: TrainingConfig, folder: epath.Path, changes: dict[str, Any]) -> int:
        open_tokenizer(*config.model.clip.reading)
        trained[folder.name] = config
        path = Path(folder)
        (path / layout.CHECKPOINTS).mkdir(parents=True, exist_ok=True)
        vocabulary.keep(path, config.model.clip.tokenizer)
        for name in left:
            (path / name).touch()
        return code

    assert sweep.train_arms(home, arms, configure, train) == code
    return trained


@pytest.mark.parametrize("key", sweep.BEGINNINGS)
def test_an_arm_finds_the_vocabulary_of_the_arm_that_it_begins_with(tmp_path, key):
    first = {"model.tokenizer": str(vocabularies.GEMMA)}
    arms = {"first": first, "second": {key: "first"}, "third": {key: "second"}}
    base: dict[str, Any] = {"model.tokenizer": ""}
    trained = run(tmp_path / "sweep", arms, **base)
    assert list(trained) == list(arms)
    for arm, before in (("second", "first"), ("third", "second")):
        config = trained[arm]
        assert getattr(config, key) == str(tmp_path / "sweep" / before)
        assert config.model.clip.tokenizer == str(tmp_path / "sweep" / before / "tokenizer.model")
        # What its folder is known by does not hang on which arms are trained.
        assert config.settings["model"]["tokenizer"] == ""


@pytest.mark.parametrize(
    ("arms", "base", "said"),
    [
        (
            {"first": {}, "second": {"init_from": "first", "model.tokenizer": ""}},
            {"model.tokenizer": ""},
            "tokens of gemma, whose vocabulary is not here",
        ),
        ({"first": {}, "second": {"init_from": "nowhere/at/all"}}, {}, "nowhere/at/all"),
        (
            {"first": {"init_from": "second"}, "second": {}},
            {},
            "the arm first begins with second, which is not trained before it",
        ),
        ({"first": {"init_towers_from": "first"}}, {}, "the arm first begins with first"),
        (
            {"first": {}, "second": {"init_from": "first", "model.activation": "gelu"}},
            {},
            "first: its towers are not those .*activation: there 'gelu_tanh', here 'gelu'",
        ),
        ({"first": {}, "second": {"optimizer.frozen": "txt"}}, {}, "frozen 'txt' matches no param"),
        (
            {"first": {}, "second": {"microbatch": 3}},
            {},
            "microbatch 3: wanted a part of",
        ),
    ],
)
def test_what_an_arm_will_lack_is_missed_before_the_first_step(tmp_path, arms, base, said):
    with pytest.raises((ValueError, FileNotFoundError), match=re.compile(said, re.DOTALL)):
        run(tmp_path / "sweep", arms, **base)
    assert not (tmp_path / "sweep").exists()


def test_what_a_finished_arm_began_with_may_be_gone(tmp_path):
    weights = tmp_path / "weights"
    (weights / layout.CHECKPOINTS).mkdir(parents=True)
    arms: Arms = {"first": {"init_from": str(weights)}, "second": {"init_from": "first"}}
    assert list(run(tmp_path / "sweep", arms, "clip")) == ["first", "second"]
    weights.rename(tmp_path / "moved")
    assert run(tmp_path / "sweep", arms, "clip") == {}


def test_where_nothing_can_be_evaluated_every_arm_is_trained(tmp_path):
    """As without TensorFlow; where it is, the same command evaluates what was trained."""
    arms: Arms = {"first": {}, "second": {"init_from": "first"}, "third": {}}
    assert list(run(tmp_path, arms, "clip", left=(layout.FINISHED,))) == list(arms)
    # One that is stopped while it is evaluated stops the sweep.
    stopped = run(tmp_path, arms, "clip", left=(layout.FINISHED,), code=130)
    assert list(stopped) == ["first"]
    assert list(run(tmp_path, arms, "clip")) == list(arms)
    assert run(tmp_path, arms, "clip") == {}


def test_an_arm_that_is_stopped_stops_the_sweep(tmp_path):
    arms: Arms = {"first": {}, "second": {}}
    assert list(run(tmp_path, arms, "clip", left=())) == ["first"]
    assert not (tmp_path / layout.FINISHED).exists()


def test_a_sweep_is_finished_when_each_arm_is(tmp_path):
    arms: Arms = {"first": {}, "second": {}}
    mark = tmp_path / layout.FINISHED
    run(tmp_path, arms, "clip")
    assert mark.read_text() == "2 arms\n"
    # Its mark does not keep an arm that is added from being trained, and is not there meanwhile.
    more = arms | {"third": {}}
    assert list(run(tmp_path, more, "clip", left=())) == ["third"]
    assert not mark.exists()
    assert list(run(tmp_path, more, "clip")) == ["third"]
    assert mark.read_text() == "3 arms\n"


def test_a_sweep_that_only_lacks_its_mark_gets_it(tmp_path):
    run(tmp_path, {"first": {}}, "clip")
    (tmp_path / layout.FINISHED).unlink(missing_ok=True)
    assert run(tmp_path, {"first": {}}, "clip") == {}
    assert (tmp_path / layout.FINISHED).read_text() == "1 arm\n"


@pytest.mark.parametrize("process", [0, 1])
def test_one_of_several_processes_speaks(tmp_path, monkeypatch, capsys, process):
    monkeypatch.setattr("animclip_jax.training.sweep.jax.process_index", lambda: process)
    # It asks the devices, which are all of one process here.
    monkeypatch.setattr("animclip_jax.training.sweep.beginning.check_settings", lambda config: None)
    (tmp_path / "sweep").mkdir()
    run(tmp_path / "sweep", {"first": {}})
    assert ("first: the configuration as it is" in capsys.readouterr().out) == (process == 0)
    assert (tmp_path / "sweep" / layout.FINISHED).exists() == (process == 0)
