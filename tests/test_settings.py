"""Copies of configurations, and the dataclasses that they become."""

import copy
import dataclasses
import math
import re

import pytest
from ml_collections import ConfigDict

from animclip_jax import settings
from animclip_jax.runs import run_config
from configs import common, quickstart


def config() -> ConfigDict:
    made = ConfigDict({"steps": 10, "animation": {"preset": "full"}})
    made.animation.half = made.get_ref("steps") // 2
    return made


def test_a_changed_copy_follows_its_values_and_leaves_the_first_alone():
    first = config()
    other = settings.changed(first, {"steps": 30, "animation.preset": "still"})
    assert (other.steps, other.animation.half, other.animation.preset) == (30, 15, "still")
    assert (first.steps, first.animation.half, first.animation.preset) == (10, 5, "full")


def test_a_change_of_a_setting_that_is_not_there_is_refused():
    with pytest.raises((AttributeError, KeyError, ValueError)):
        settings.changed(config().lock(), {"animation.presett": "still"})


def test_validation_on_the_videos_of_the_test_is_refused():
    config = quickstart.get_config()
    config.validation.every, config.validation.source = 5, config.data.eval
    with pytest.raises(ValueError, match="validation.source is data.eval, drawn:test"):
        settings.training(config)
    config.validation.every = 0
    assert settings.training(config).validation is None


def test_validation_needs_videos_of_its_own():
    """Whoever searches own videos would otherwise choose a step by the drawn world's."""
    config = common.get_config("tiny")
    config.validation.every, config.data.eval = 500, "folder:VIDEOS"
    with pytest.raises(ValueError, match="validation.every=500 and no validation.source: name"):
        settings.training(config)
    config.validation.source = "folder:OTHERS"
    found = settings.training(config).validation
    assert found is not None and found.source == "folder:OTHERS"


LEAST = {
    "seed": 0,
    "steps": 0,
    "microbatch": 0,
    "optimizer.warmup_steps": 0,
    "batch_size": 1,
    "log_every": 1,
    "data.canvas_size": 1,
    "data.group_size": 1,
    "checkpoint.every": 1,
    "checkpoint.keep": 1,
    "evaluation.rerank_k": 1,
    "evaluation.batch_size": 1,
    "mesh.fsdp": 1,
    "mesh.tensor": 1,
}


@pytest.mark.parametrize(("name", "least"), LEAST.items())
def test_a_whole_number_that_is_too_small_is_refused_by_its_name(name, least):
    config = settings.changed(quickstart.get_config(), {name: least - 1})
    with pytest.raises(ValueError, match=f"^{name} {least - 1}: wanted {least} or more$"):
        settings.training(config)


AMOUNTS = (
    "optimizer.learning_rate",
    "optimizer.weight_decay",
    "optimizer.vision_rate",
    "optimizer.text_rate",
    "optimizer.layer_decay",
    "optimizer.matrix_rate",
    "loss.matching_weight",
    "loss.motion_weight",
)
MISTAKES = {
    **{
        (name, wrong): "a finite number, 0 or more"
        for name in AMOUNTS
        for wrong in (-0.1, math.inf, math.nan)
    },
    **{
        (f"optimizer.{name}", wrong): "0 to below 1"
        for name in ("b1", "b2", "average_decay")
        for wrong in (-0.1, 1.0, math.nan)
    },
    **{("lora.alpha", wrong): "a finite number above 0" for wrong in (0.0, -16.0, math.inf)},
}


@pytest.mark.parametrize(("name", "wrong"), MISTAKES)
def test_a_rate_or_weight_that_can_only_be_a_mistake_is_refused_by_its_name(name, wrong):
    config = settings.changed(quickstart.get_config(), {"lora.rank": 2, name: wrong})
    said = f"{name} {wrong}: wanted {MISTAKES[name, wrong]}"
    with pytest.raises(ValueError, match=f"^{re.escape(said)}$"):
        settings.training(config)


def test_the_temperature_is_cut_as_the_towers_say():
    config = settings.training(quickstart.get_config())
    assert config.step_arguments({})["max_logit_scale"] == 100.0


def test_rates_and_weights_of_zero_are_none():
    config = settings.changed(quickstart.get_config(), dict.fromkeys(AMOUNTS, 0.0))
    assert settings.training(config).optimizer.learning_rate == 0
    settings.training(settings.changed(config, {"lora.alpha": 0.0}))  # without adapters


def test_validation_every_less_than_no_steps_is_refused():
    changes = {"validation.every": -5, "validation.source": "drawn:val"}
    with pytest.raises(ValueError, match=r"validation.every -5: wanted 0 or more"):
        settings.training(settings.changed(quickstart.get_config(), changes))


def test_a_run_of_a_version_without_some_settings_is_read_and_goes_on():
    now = settings.plain(quickstart.get_config())
    old = copy.deepcopy(now)
    del old["motion"], old["loss"]["motion_weight"]
    del old["animation"]["thing"]["still"], old["animation"]["thing"]["upright"]
    assert run_config.differences(old, now) == []
    runs = [settings.training(ConfigDict(one)) for one in (old, now)]
    assert dataclasses.replace(runs[0], settings=runs[1].settings) == runs[1]
