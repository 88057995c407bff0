"""The shapes that are compiled are those that training has."""

import jax
import pytest

from animclip_jax import settings
from animclip_jax.planning.program import batch_shapes, tpu_devices
from configs import quickstart


@pytest.mark.parametrize(
    ("preset", "render"),
    [("full", "device"), ("repeat", "device"), ("shots", "host"), ("things", "device")],
)
def test_the_batch_is_that_of_the_pipeline(preset, render, tmp_path):
    from input_pipeline.batches import train_batches
    from input_pipeline.sources.opening import open_source

    config = quickstart.get_config()
    config.batch_size, config.animation.preset, config.animation.render = 4, preset, render
    config.animation.dissolve.probability = 0.5
    examples = open_source("drawn:train:8", str(tmp_path))
    made = settings.batches(config)
    batch = next(train_batches(examples, made, start_step=0))
    wanted = jax.tree.map(lambda x: (x.shape, str(x.dtype)), batch_shapes(made))
    assert jax.tree.map(lambda x: (x.shape, str(x.dtype)), batch) == wanted


def test_a_topology_that_does_not_exist_is_refused():
    pytest.importorskip("libtpu", reason="no compiler for TPUs: pip install '.[tpu]'")
    with pytest.raises(ValueError, match=r"--topology=v5x:4: .*such as v5e:16x16"):
        tpu_devices("v5x:4")
