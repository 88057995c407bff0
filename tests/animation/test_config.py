"""Tests of animclip_jax.animation.config and of what its components accept."""

import dataclasses
from collections.abc import Callable
from typing import Any

import ml_collections
import pytest

from animclip_jax.animation.components import (
    Cut,
    Framing,
    Grow,
    MotionBlur,
    Pan,
    Roll,
    Shake,
    Thing,
    Tilt,
    Turn,
    Wipe,
    Zoom,
)  # fmt: skip
from animclip_jax.animation.config import (
    COMPONENTS,
    MOTIONS,
    PARTS,
    PRESETS,
    AnimationConfig,
    alone,
)  # fmt: skip
from animclip_jax.animation.told import Told


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: AnimationConfig("wild"), "animation.preset: found 'wild', wanted one of repeat"),
        (lambda: AnimationConfig(render="gpu"), "animation.render: .* wanted one of device, host"),
        (lambda: AnimationConfig(num_frames=0), "animation.num_frames: found 0"),
        (lambda: AnimationConfig(image_size=1.5), "animation.image_size: found 1.5"),  # type: ignore[arg-type]
        (lambda: Framing(shot_size=(0.0, 1.0)), "animation.framing.shot_size: .* 0.01 <= from"),
        (lambda: Framing(shot_size=(0.5, 1.1)), "animation.framing.shot_size: .* to <= 1.0"),
        (lambda: Framing(start=(-0.1, 1.0)), "animation.framing.start"),
        (lambda: Framing(probability=1.5), "animation.framing.probability: found 1.5"),
        (lambda: Pan(travel=(0.5, 0.1)), "animation.pan.travel: found .0.5, 0.1., wanted a pair"),
        (lambda: Tilt(travel=(0.1,)), "animation.tilt.travel"),  # type: ignore[arg-type]
        (lambda: Zoom(ratio=(0.5, 2.0)), "animation.zoom.ratio: .* 1.0 <= from <= to$"),
        (lambda: Zoom(ratio=(1.0, float("nan"))), "animation.zoom.ratio"),
        (lambda: Cut(when=(0.5, "0.7")), "animation.cut.when"),  # type: ignore[arg-type]
        (lambda: Roll(turn=(0.0, 90.0)), "animation.roll.turn: .* 0.0 <= from <= to <= 40.0"),
        (lambda: Shake(sway=(0.0, 0.5)), "animation.shake.sway"),
        (lambda: Wipe(softness=(0.0, 0.5)), "animation.wipe.softness"),
        (lambda: MotionBlur(shutter=(0.0, 2.0)), "animation.motion_blur.shutter"),
        (lambda: Thing(size=(0.2, 0.9)), "animation.thing.size: .* 0.05 <= from <= to <= 0.6"),
        (lambda: Turn(turn=(0.0, 60.0)), "animation.turn.turn: .* to <= 45.0"),
        (lambda: Told(probability=2.0), "animation.told.probability: found 2.0"),
        (lambda: Told(1.0, siblings=1.5), "animation.told.siblings: found 1.5, wanted .*, 0 to 1$"),
        (lambda: Told(travel=0.0), "animation.told.travel: found 0.0, wanted .*, 0.01 or more"),
        (lambda: Told(zoom=1), "animation.told.zoom: found 1, wanted a number, 1.01 or more"),
        (lambda: Told(closer="2"), "animation.told.closer: found '2'"),  # type: ignore[arg-type]
        (lambda: Told(pace=(0.5, 0.2)), "animation.told.pace: found .* wanted a pair"),
        (lambda: Told(siblings=0.5), "told.siblings is 0.5 and animation.told.probability 0: no"),
    ],
)
def test_what_cannot_be_filmed_is_refused(make: Callable, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("name", COMPONENTS)
def test_every_range_is_checked_and_named_as_the_config_names_it(name: str) -> None:
    component: Any = COMPONENTS[name]
    shares = {"probability", *component.SHARES}
    ranges = {f.name for f in dataclasses.fields(component)} - shares
    assert ranges == set(component.LIMITS)
    for part in ranges:
        with pytest.raises(ValueError, match=f"animation.{name}.{part}: found"):
            component(**{part: (-1.0, 0.5)})
    for share in shares:
        with pytest.raises(ValueError, match=f"animation.{name}.{share}: found -1"):
            component(**{share: -1})


@pytest.mark.parametrize("mapping", [dict, ml_collections.ConfigDict])
def test_from_dict(mapping: type) -> None:
    values = {"preset": "zoom", "num_frames": 4, "zoom": {"ratio": [1.2, 1.3]}}
    config = AnimationConfig.from_dict(mapping(values))
    assert config == AnimationConfig("zoom", 4, zoom=Zoom(ratio=(1.2, 1.3)))
    whole = dataclasses.asdict(config)
    assert AnimationConfig.from_dict(mapping(whole)) == config


def test_from_dict_refuses_names_that_do_not_exist() -> None:
    with pytest.raises(ValueError, match="animation.num_frame: .* did you mean num_frames"):
        AnimationConfig.from_dict({"num_frame": 4})
    with pytest.raises(ValueError, match="animation.zoom.ratios: .* did you mean ratio"):
        AnimationConfig.from_dict({"zoom": {"ratios": (1, 2)}})


def test_presets_name_components() -> None:
    assert PRESETS["things"] == set(COMPONENTS)
    # Things that move are asked for, too.
    assert PRESETS["full"] == set(COMPONENTS) - {"thing", *MOTIONS}
    for preset, names in PRESETS.items():
        assert names <= set(COMPONENTS)
        config = AnimationConfig(preset)
        for name in COMPONENTS:
            # Two pictures in a clip are asked for, never a default.
            assert config.is_on(name) == (name in names and name != "scenes")


def test_alone_has_the_component_in_every_clip_and_little_else() -> None:
    for name in COMPONENTS:
        config = alone(name, 8, 64)
        on = {other for other in COMPONENTS if config.is_on(other)}
        assert name in on and on - {name} <= {"framing", "pan", "cut", "thing", "slide"}
        assert (config.thing_frames > 0) == (name in ("thing", *MOTIONS))
        assert getattr(config, name).probability == 1.0
    assert alone("pan", 8, 64).pan == Pan(1.0, (0.5, 0.5))
    assert alone("cut", 8, 64).cut == Cut(1.0)
    assert alone("grow", 8, 64).grow == Grow(1.0, (2.0, 2.0))


def test_clips_show_things_where_something_can_move() -> None:
    assert AnimationConfig("things", 9).thing_frames == 9
    no_motion: dict[str, Any] = {name: COMPONENTS[name](0.0) for name in MOTIONS}
    for config in (
        AnimationConfig("full", 9),
        AnimationConfig("things", 1),
        AnimationConfig("things", 9, thing=Thing(0.0)),
        AnimationConfig("things", 9, **no_motion),
    ):
        assert config.thing_frames == 0


def test_the_shipped_configuration_says_what_the_defaults_are() -> None:
    from configs import common

    settings = common.get_config().animation.to_dict()
    assert AnimationConfig.from_dict(settings) == AnimationConfig(image_size=settings["image_size"])
    assert set(PARTS) <= set(settings)
