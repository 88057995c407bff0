"""A run that trained adapters is exported as the model that it trained, in every format."""

from pathlib import Path

import jax
import numpy as np
import pytest
from flax import traverse_util

from animclip_jax import api, export, settings, sharding
from animclip_jax.exporting import example
from animclip_jax.exporting.functions import named_text, named_video
from animclip_jax.models.retriever import RetrieverConfig
from animclip_jax.runs import run_config
from animclip_jax.training import step
from animclip_jax.training.checkpoint import Checkpoints
from tests.programs import small_family


def summed(state: step.TrainState) -> dict[str, np.ndarray]:
    """What the average of the adapters adds to the towers, by hand."""
    average = traverse_util.flatten_dict(state.average, sep="/")
    found = traverse_util.flatten_dict(state.params, sep="/") | average
    adapters = {name: np.asarray(x, np.float64) for name, x in found.items() if "lora/" in name}
    model = {name: np.asarray(x) for name, x in found.items() if name not in adapters}
    for name in {name.removeprefix("lora/").rpartition("/")[0] for name in adapters}:
        a, b = adapters[f"lora/{name}/a"], adapters[f"lora/{name}/b"]
        product = [np.tensordot(one, other, 1) for one, other in zip(a, b, strict=True)]
        model[name] = (model[name] + np.stack(product)).astype(np.float32)
    return model


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> tuple[Path, RetrieverConfig, dict[str, np.ndarray]]:
    """The folder of a run, its model, and the parameters that it trained."""
    config = small_family.get_config("clip")
    # As Hugging Face's format needs it.
    config.model.vocab_size, config.model.context_length = 49408, 77
    config.lora.rank, config.lora.targets = 2, "attention|mlp"
    config.optimizer.average_decay = 0.9
    run = settings.training(config)
    mesh = sharding.make_mesh(sharding.MeshConfig(1, 1), jax.devices()[:1])
    state = step.init_state(mesh, run.model, run.make_optimizer(), 0, run.begin_average, run.lora)
    rng = np.random.default_rng(0)
    stirred = jax.tree.map(
        lambda x: x + 0.05 * rng.standard_normal(x.shape, np.float32), (state.params, state.average)
    )
    state = state._replace(params=stirred[0], average=stirred[1])
    workdir = tmp_path_factory.mktemp("adapted")
    run_config.claim(workdir, run.settings)
    with Checkpoints(workdir) as checkpoints:
        checkpoints.save(2, state)
    return workdir, run.model, summed(state)


@pytest.mark.parametrize("kind", ["safetensors", "hf", "stablehlo"])
def test_an_export_has_the_embeddings_of_the_trained_model(trained, tmp_path, kind):
    workdir, config, params = trained
    given = example.inputs(config, 2)
    live = api.make_encoder(params, config, jax.devices()[:1])
    wanted = named_text(live.encode_text(given["tokens"]))
    wanted |= named_video(live.encode_video(given["frames"], 2))
    assert export.main([str(workdir), f"--out={tmp_path / 'out'}", f"--format={kind}"]) == 0
    loaded = export.formats()[kind].load(tmp_path / "out")
    seen = loaded.get("encode_video", loaded.get("video_code"))
    assert seen is not None
    found = loaded["encode_text"](given) | seen(given)
    for name in ("text_embedding", "video_embedding"):
        np.testing.assert_allclose(found[name], wanted[name], rtol=0, atol=1e-6, err_msg=name)
