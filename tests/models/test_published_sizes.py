"""Models of published sizes against the libraries that publish them, where these are installed."""

import jax
import pytest

from tests.weights import parity

# The modules to import, by the name of a reference in the table.
MODULES = {
    "transformers": ("torch", "transformers"),
    "open_clip": ("torch", "open_clip"),
    "open_clip, timm": ("torch", "open_clip", "timm"),
    "big_vision": ("einops", "big_vision.models.proj.image_text.two_towers"),
}
# test_parity.py compares these, and more of their kind.
ELSEWHERE = {"CLIP ViT-B/32", "CLIP ViT-B/16", "CLIP ViT-L/14"}


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(parity.MODELS.keys() - ELSEWHERE))
def test_a_published_size_computes_what_its_reference_computes(name):
    """Each block, embeddings and logits in float32, and the embeddings in bfloat16."""
    for module in MODULES[parity.MODELS[name][0]]:
        pytest.importorskip(module, reason="needs what tests.weights.parity names")
    with jax.default_matmul_precision("highest"):
        row = parity.compare(name)
    print(row)
    assert parity.beyond(row) == {}


def test_figures_out_of_bounds_are_found():
    good = {"model": "a", "layers": "2 + 2", "blocks": 1e-6, "cosine in bfloat16": 0.9999}
    assert parity.beyond(good) == {}
    bad = {"blocks": 2e-5, "logits": float("nan"), "cosine in bfloat16": 0.99}
    assert parity.beyond(good | bad).keys() == bad.keys()
