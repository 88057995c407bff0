"""What cuDNN is asked for: JAX's own checks take it, and it is what XLA computes."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax._src.cudnn import fused_attention_stablehlo as jax_checks

from animclip_jax.models import attention, attention_by_cudnn
from animclip_jax.models.retriever import Retriever
from animclip_jax.models.transformer import Attention
from tests.small_model import TEMPORAL, captions, clips


@pytest.fixture
def gpu(monkeypatch):
    """JAX traces programs as where there is a Hopper GPU with cuDNN."""
    monkeypatch.setattr(jax_checks, "check_cudnn_version", lambda: 91_000)
    monkeypatch.setattr(jax_checks, "check_compute_capability", lambda _: True)
    monkeypatch.setattr(jax_checks, "is_cuda_compute_capability_equal", lambda _: False)


def given(queries: int, keys: int, dtype: str = "float32", width: int = 64) -> list[jax.Array]:
    random = np.random.default_rng(0)
    shapes = [(3, count, 2, width) for count in (queries, keys, keys)]
    return [jnp.asarray(random.normal(size=shape), dtype) for shape in shapes]


# Captions of CLIP, among themselves and into a code; MAP pooling; frames.
SIZES = [(77, 77), (77, 60), (1, 49), (12, 12)]


@pytest.mark.parametrize("is_masked", [False, True])
@pytest.mark.parametrize(("queries", "keys"), SIZES)
def test_it_is_what_xla_computes(queries, keys, is_masked):
    parts, is_causal = given(queries, keys), queries == keys == 77
    lengths = np.array([keys, 1 + keys // 2, 1])[:, None, None, None]
    mask = jnp.asarray(np.arange(keys) < lengths) if is_masked else None

    def total(compute, *more):
        def summed(parts):
            found = compute(*parts, mask, is_causal, *more)
            return jnp.sum(jnp.sin(found)), found

        return jax.jit(jax.value_and_grad(summed, has_aux=True))(parts)

    ours, wanted = total(attention_by_cudnn.by_cudnn, "xla"), total(attention.attend)
    for one, other in zip(jax.tree.leaves(ours), jax.tree.leaves(wanted), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("queries", "keys"), SIZES)
def test_jax_takes_any_number_of_tokens(gpu, queries, keys):
    for mask in (None, jnp.ones((3, 1, 1, keys), bool)):

        def summed(parts, mask=mask):
            query, key, value = parts
            return jnp.sum(attention_by_cudnn.by_cudnn(query, key, value, mask).astype(jnp.float32))

        program = jax.make_jaxpr(jax.grad(summed))(given(queries, keys, "bfloat16"))
        assert "dot_product_attention_bwd" in str(program)


def test_what_it_does_not_serve_is_left_to_xla():
    assert attention_by_cudnn.serves_cudnn(given(7, 9, "bfloat16")[0])
    assert not attention_by_cudnn.serves_cudnn(given(7, 9)[0])
    assert not attention_by_cudnn.serves_cudnn(given(7, 9, "bfloat16", 12)[0])
    assert not attention_by_cudnn.serves_cudnn(given(7, 9, "bfloat16", 192)[0])
    assert not attention_by_cudnn.serves_cudnn(given(7, 9, "bfloat16")[0][None])


@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
def test_a_whole_model_is_traced(gpu, dtype):
    """An odd number of words and of patches; the re-ranker's heads are 12 wide, the towers' 16."""
    clip = dataclasses.replace(TEMPORAL.clip, dtype=dtype, context_length=13)
    model = Retriever(dataclasses.replace(TEMPORAL, clip=clip), rngs=nnx.Rngs(0))
    for _, module in nnx.iter_modules(model):
        if isinstance(module, Attention):
            module.by_cudnn = True
    graphdef, params = nnx.split(model)

    def loss(params):
        model = nnx.merge(graphdef, params)
        text, video = model.encode_text(captions(2, 13)), model.encode_video(clips(2))
        return jnp.sum(model.fused_scores(text, video))

    program = str(jax.make_jaxpr(jax.grad(loss))(params))
    assert ("dot_product_attention_bwd" in program) == (dtype == "bfloat16")
