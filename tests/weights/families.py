"""Random models of PE-Core and SigLIP as others compute them, and the golden files made of them.

`python -m tests.weights.families` writes them, in an environment with timm, open_clip_torch and
transformers. Every parameter is drawn at random, biases, scales and the logits' bias too.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy

from animclip_jax import files
from animclip_jax.models import towers
from animclip_jax.models.clip import ClipConfig
from animclip_jax.models.towers import PE_CORE, SIGLIP
from animclip_jax.models.transformer import TransformerConfig
from animclip_jax.weights import hugging_face_config
from tests import vocabularies
from tests.weights.reference import GOLDEN

# The logarithm of the logits' scale, of every model here.
LOG_SCALE = 2.5
# A head of 16 values has four pairs that turn with rows and four with columns.
_VISION = TransformerConfig(width=48, layers=2, heads=3, mlp_width=72)
_TEXT = TransformerConfig(width=20, layers=2, heads=2, mlp_width=80)
_PE = ClipConfig(
    image_size=24,
    patch_size=8,
    vision=_VISION,
    text=_TEXT,
    context_length=12,
    vocab_size=99,
    embed_dim=14,
    activation="gelu",
    towers=dataclasses.replace(
        PE_CORE, vision=dataclasses.replace(PE_CORE.vision, pool_mlp_width=192)
    ),
)
# And with timm's bias of the projection.
_WITHOUT_CLASS = dataclasses.replace(_PE.towers.vision, class_token=False, projection=towers.DENSE)
FAMILIES = {
    "pe_core": _PE,
    "pe_core_g": dataclasses.replace(
        _PE, towers=dataclasses.replace(_PE.towers, vision=_WITHOUT_CLASS)
    ),
    "siglip": ClipConfig(
        image_size=24,
        patch_size=8,
        vision=_VISION,
        text=TransformerConfig(width=20, layers=2, heads=2, mlp_width=36),
        context_length=12,
        vocab_size=99,
        embed_dim=48,
        activation="gelu_tanh",
        towers=SIGLIP,
    ),
}


# SigLIP 2 differs in its vocabulary alone.
SIGLIP_2 = dataclasses.replace(
    FAMILIES["siglip"],
    vocab_size=vocabularies.GEMMA_SIZE,
    towers=dataclasses.replace(SIGLIP, tokenizer="gemma"),
    tokenizer=str(vocabularies.GEMMA_JSON),
)


def open_clip_document(config: ClipConfig) -> dict[str, Any]:
    """An open_clip_config.json; open_clip itself writes none of towers as small as these."""
    vision: dict[str, Any] = {"image_size": config.image_size}
    text: dict[str, Any] = {
        name: getattr(config, name) for name in ("context_length", "vocab_size")
    }
    text |= {name: getattr(config.text, name) for name in ("width", "layers", "heads")}
    if config.towers.vision.pool == towers.MAP:
        siglip = config.towers.text.pool == towers.LAST
        # Of three heads.
        name = "vit_tiny_patch8_siglip_24" if siglip else "vit_pe_core_tiny_patch8_24"
        vision |= {"timm_model_name": name, "timm_pool": "map"}
        vision |= {"timm_proj": "none" if siglip else None}
        if siglip:
            text |= {"no_causal_mask": True, "proj_bias": True, "pool_type": "last"}
            text |= {"norm_kwargs": {"eps": config.towers.norm_epsilon}}
    else:
        sizes = config.vision
        vision |= {"width": sizes.width, "layers": sizes.layers, "patch_size": config.patch_size}
        vision |= {"head_width": sizes.width // sizes.heads}
    model = {"embed_dim": config.embed_dim, "vision_cfg": vision, "text_cfg": text}
    return {"model_cfg": model | {"quick_gelu": config.activation == "quick_gelu"}}


def inputs(config: ClipConfig, count: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """frames float32 [count, S, S, 3] in [0, 1]; tokens int32 [count, L] with their padding."""
    rng = np.random.default_rng(0)
    size, length = config.image_size, config.context_length
    frames = rng.integers(0, 256, (count, size, size, 3)).astype(np.float32) / 255
    text = config.towers.text
    greatest = text.end == towers.GREATEST
    end = config.vocab_size - 1 if greatest else text.end
    # SigLIP pads with the token that ends a caption.
    tokens = np.full((count, length), 0 if greatest else end, np.int32)
    for row in tokens:
        own = rng.integers(2, length)
        row[:own] = rng.integers(2, config.vocab_size - 2, own)
        row[own] = end
    return frames, tokens


def golden(name: str) -> dict[str, np.ndarray]:
    """A family's tensors, float32, as their file has them."""
    tensors = safetensors.numpy.load_file(GOLDEN / f"{name}.safetensors")
    return {key: value.astype(np.float32) for key, value in tensors.items()}


def write_siglip(directory: Path) -> None:
    """Hugging Face's folder of the golden SigLIP, without a vocabulary."""
    files.write_json(directory / "config.json", hugging_face_config.write(FAMILIES["siglip"]))
    tensors = (GOLDEN / "siglip.safetensors").read_bytes()
    (directory / "model.safetensors").write_bytes(tensors)


def normalised(frames: np.ndarray, config: ClipConfig) -> np.ndarray:
    """float32 [B, 3, S, S], as PyTorch's towers take pictures."""
    pixels = config.towers.pixels
    mean, std = (np.array(x, np.float32) for x in (pixels.mean, pixels.std))
    return np.ascontiguousarray(((frames - mean) / std).transpose(0, 3, 1, 2))


def draw(model: Any) -> Any:
    """Random float16 values of every parameter, as float32."""
    import torch

    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            if name == "logit_scale":
                parameter.fill_(LOG_SCALE)
            elif ("norm" in name or "ln_" in name) and name.endswith("weight"):
                parameter.copy_(1 + 0.1 * noise)
            elif parameter.ndim > 1 and "embed" not in name:
                parameter.copy_(noise * parameter[0].numel() ** -0.5)
            else:
                parameter.copy_(0.1 * noise)
            # Not the whole model: a buffer, such as the angles of rotary positions, stays as it is.
            parameter.copy_(parameter.half())
    return model.eval()


@contextlib.contextmanager
def recorded(layers: Sequence[Any]) -> Iterator[list[Any]]:
    """What enters the first of a tower's layers, then what leaves each; filled by its next call."""
    seen: list[Any] = []

    def leaves(_: Any, __: Any, value: Any) -> None:
        seen.append(value[0] if isinstance(value, tuple) else value)

    hooks = [layers[0].register_forward_pre_hook(lambda _, given: seen.append(given[0]))]
    hooks += [layer.register_forward_hook(leaves) for layer in layers]
    yield seen
    for hook in hooks:
        hook.remove()


def outputs(
    config: ClipConfig, vision: Any, text: Any, layers: tuple[Any, Any]
) -> dict[str, np.ndarray]:
    """Embeddings, logits [text, image] and blocks, as `tests.models.computed.outputs` has them.

    Args:
      vision, text: PyTorch's towers, from pixels and from tokens to embeddings, drawn by `draw`.
      layers: those of the two towers.
    """
    import torch
    from torch.nn.functional import normalize

    frames, tokens = inputs(config)
    with torch.no_grad(), recorded(layers[0]) as seen, recorded(layers[1]) as read:
        image = vision(torch.from_numpy(normalised(frames, config)))
        caption = text(torch.from_numpy(tokens).long())
        cosines = normalize(caption, dim=-1) @ normalize(image, dim=-1).T
        found = {
            "image_embedding": image,
            "text_embedding": caption,
            "logits": cosines * torch.tensor(LOG_SCALE).exp(),
            "vision_blocks": torch.stack(seen),
            "text_blocks": torch.stack(read),
        }
    return {name: value.numpy() for name, value in found.items()}


def pe_core(config: ClipConfig, size: str) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """State and outputs of timm's tower and open_clip's text tower.

    size: timm's name of the model, such as tiny_patch16_384; the configuration's sizes are taken.
    """
    import timm
    import torch
    from open_clip.transformer import TextTransformer

    vision = timm.create_model(
        f"vit_pe_core_{size}",
        img_size=config.image_size,
        patch_size=config.patch_size,
        embed_dim=config.vision.width,
        depth=config.vision.layers,
        num_heads=config.vision.heads,
        mlp_ratio=config.vision.mlp_width / config.vision.width,
        ref_feat_shape=(config.grid, config.grid),
        num_classes=config.embed_dim,
    )
    text = TextTransformer(
        context_length=config.context_length,
        vocab_size=config.vocab_size,
        width=config.text.width,
        heads=config.text.heads,
        layers=config.text.layers,
        output_dim=config.embed_dim,
    )
    state = {f"visual.trunk.{k}": v for k, v in draw(vision).state_dict().items()}
    if config.towers.vision.projection == towers.MATRIX:  # as in Meta's own files
        vision.head.bias.data.zero_()
        state.pop("visual.trunk.head.bias")
    state |= {f"text.{name}": value for name, value in draw(text).state_dict().items()}
    state["logit_scale"] = torch.tensor(LOG_SCALE)
    layers = vision.blocks, text.transformer.resblocks
    return state, outputs(config, vision, text, layers)


def siglip(config: ClipConfig) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """State and outputs of Hugging Face's model, whose logits have a bias too."""
    import torch
    import transformers

    described = transformers.SiglipConfig(**hugging_face_config.write(config))
    model = draw(transformers.SiglipModel(described))
    model.logit_bias.data.fill_(-3.5)
    found = outputs(
        config,
        lambda pictures: model.vision_model(pictures).pooler_output,
        lambda captions: model.text_model(captions).pooler_output,
        (model.vision_model.encoder.layers, model.text_model.encoder.layers),
    )
    frames, tokens = inputs(config)
    with torch.no_grad():
        pictures, captions = normalised(frames, config), torch.from_numpy(tokens).long()
        whole = model(input_ids=captions, pixel_values=torch.from_numpy(pictures))
    return dict(model.state_dict()), found | {"logits": whole.logits_per_text.numpy()}


def make_golden() -> None:
    """Writes the golden files anew."""
    from safetensors.torch import save_file

    for name, config in FAMILIES.items():
        if name == "siglip":
            state, found = siglip(config)
        else:
            has_class = config.towers.vision.class_token
            size = "tiny_patch16_384" if has_class else "gigantic_patch14_448"
            state, found = pe_core(config, size)
        kept = {
            key: value.half().contiguous()
            for key, value in state.items()
            if value.is_floating_point()
            and not key.endswith(("attn_mask", "rope.pos_embed_cached"))
        }
        save_file(kept, GOLDEN / f"{name}.safetensors", metadata={"format": "pt"})
        arrays: Any = found
        np.savez(GOLDEN / f"{name}.npz", **arrays)


if __name__ == "__main__":
    make_golden()
