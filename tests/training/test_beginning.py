"""A run goes on with the data it began with and no other; settings that fit, or no folder."""

from typing import Any

import jax
import pytest

from animclip_jax import settings, sharding
from animclip_jax.training import beginning, loop
from configs import quickstart

DIGESTS = {"data.train": "a1", "data.eval": "b2"}


def made_of(config, **changes):
    return {"config": settings.plain(config), "data": "a1", "sources": DIGESTS} | changes


def moved(config, **places):
    return settings.changed(config, {f"data.{name}": place for name, place in places.items()})


def test_data_that_moved_and_is_the_same_is_gone_on_with():
    before = quickstart.get_config()
    now = moved(before, train="folder:/new/train", eval="folder:/new/test")
    beginning.check_sources("run", made_of(before), settings.plain(now), DIGESTS)


@pytest.mark.parametrize("name", DIGESTS)
def test_data_of_the_same_name_that_is_other_is_refused(name):
    config = quickstart.get_config()
    with pytest.raises(ValueError, match=f"other items or captions than {name}=drawn:.* now holds"):
        beginning.check_sources(
            "run", made_of(config), settings.plain(config), DIGESTS | {name: "c3"}
        )


def test_what_older_checkpoints_do_not_know_is_known_by_its_name():
    before = quickstart.get_config()
    old = made_of(before)
    del old["sources"]
    now = settings.plain(moved(before, train="folder:/new/train"))
    other = settings.plain(moved(before, eval="folder:/new/test"))
    beginning.check_sources("run", old, now, DIGESTS)
    with pytest.raises(ValueError, match="data.eval=folder:/new/test now holds .then drawn:test"):
        beginning.check_sources("run", old, other, DIGESTS)


def test_where_a_source_is_not_opened_its_name_is_free():
    before = quickstart.get_config()
    now = moved(before, eval="folder:/elsewhere")
    beginning.check_sources("run", made_of(before), settings.plain(now), {"data.train": "a1"})


SMALL = {"data.train": "drawn:train:4", "data.eval": "drawn:val:2", "batch_size": 6}


def test_a_batch_that_the_devices_do_not_divide_leaves_no_folder(tmp_path, monkeypatch):
    four = jax.sharding.AbstractMesh((4, 1, 1), sharding.AXES)
    monkeypatch.setattr("animclip_jax.training.beginning.sharding.make_mesh", lambda config: four)
    config = settings.training(settings.changed(quickstart.get_config(), SMALL))
    with pytest.raises(ValueError, match="batch_size 6: wanted a multiple of the 4 devices"):
        loop.train(config, tmp_path / "run", {})
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"optimizer.frozen": "clip/txt"}, "optimizer.frozen 'clip/txt' matches no parameter"),
        (
            {"lora.rank": 2, "optimizer.frozen": "clip/txt"},
            "optimizer.frozen 'clip/txt' matches no parameter",
        ),
        ({"lora.rank": 2, "lora.targets": "attn"}, "lora.targets 'attn' matches no kernel"),
        ({"microbatch": 4}, "microbatch 4: wanted a part of the batch, 6"),
        ({"data.group_size": 4}, "batch_size 6: wanted a multiple of .* = 1 x 4"),
        (
            {
                "data.group_size": 2,
                "animation.told.siblings": 0.5,
                "animation.told.probability": 1.0,
            },
            "batch_size 6: with animation.told.siblings 0.5 wanted a multiple of .* = 2 x 1 x 2",
        ),
        ({"data.footage": True}, "data.footage shows .* animation.preset=full has"),
        # Of the source, which is opened to know.
        (
            {"validation.every": 2, "validation.source": "drawn:val:02"},
            "validation.source drawn:val:02 and data.eval drawn:val:2 hold the same videos",
        ),
        ({"data.group_size": 3}, "drawn:train:4: 4 examples, wanted a multiple of group_size 3"),
    ],
)
def test_settings_that_do_not_fit_each_other_leave_no_folder(tmp_path, changes, said):
    places: dict[str, Any] = {"data.cache_dir": str(tmp_path / "cache")}
    config = settings.changed(quickstart.get_config(), SMALL | places | changes)
    with pytest.raises(ValueError, match=said):
        loop.train(settings.training(config), tmp_path / "run", {})
    assert not (tmp_path / "run").exists()


def test_a_step_can_not_be_chosen_where_nothing_can_be_evaluated(tmp_path, monkeypatch):
    """Baked batches train without TensorFlow; searching videos takes it."""
    monkeypatch.setattr(beginning, "_why_not_evaluated", lambda source: "reading needs TensorFlow")
    places = {"data.cache_dir": str(tmp_path / "cache"), "validation.every": 2}
    config = settings.training(settings.changed(quickstart.get_config(), SMALL | places))
    with pytest.raises(ValueError, match="every=2: reading needs TensorFlow, or set validation"):
        beginning.open_sources(config, (0, 1))
