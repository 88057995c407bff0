"""A run goes on with the data it began with, wherever that is now, and with no other."""

import pytest

from animclip_jax import settings
from animclip_jax.training import beginning
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
