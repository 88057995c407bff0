"""Do models of published sizes compute what transformers, timm and open_clip compute?

    python -m tests.weights.parity [--json FILE] [--only WORD]

Needs torch, transformers, timm and open_clip_torch beside JAX, and for the rows of big_vision what
`tests.weights.big_vision` says. Weights, biases and scales are
drawn, and two or three pictures and captions. Prints a table of the greatest differences over the
greatest value in float32, and of the least cosine of an embedding in bfloat16. Exits with 1 where
one is out of bounds.
"""

import argparse
import dataclasses
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from animclip_jax.models.clip import ClipConfig
from animclip_jax.models.presets import PRESETS
from animclip_jax.models.towers import SIGLIP
from animclip_jax.models.transformer import TransformerConfig
from animclip_jax.weights import open_clip_config, rules, timm_names
from animclip_jax.weights.deferred import Array
from animclip_jax.weights.rules import Layout
from tests.models import computed
from tests.weights import big_vision, families, reference

PACKAGES = ("torch", "transformers", "timm", "open_clip_torch", "jax", "flax", "numpy")
_B = TransformerConfig(width=768, layers=12, heads=12, mlp_width=3072)
_SO400M = TransformerConfig(width=1152, layers=27, heads=16, mlp_width=4304)
_SIGLIP_B = ClipConfig(224, 16, _B, _B, 64, 32_000, 768, "gelu_tanh", towers=SIGLIP)
_SIGLIP_SO400M = ClipConfig(224, 14, _SO400M, _SO400M, 16, 32_000, 1152, "gelu_tanh", towers=SIGLIP)
_SIGLIP_2 = dataclasses.replace(SIGLIP, tokenizer="gemma")


class Reference(NamedTuple):
    """A model of another library: its parameters as ours, its outputs, and the architecture."""

    params: Mapping[str, Array]
    outputs: dict[str, np.ndarray]
    config: ClipConfig


def shortened(config: ClipConfig, layers: int = 2) -> ClipConfig:
    """With that many layers a tower."""
    vision, text = (dataclasses.replace(one, layers=layers) for one in (config.vision, config.text))
    return dataclasses.replace(config, vision=vision, text=text)


def clip(config: ClipConfig) -> Reference:
    """transformers' CLIPModel."""
    model = reference.random_clip(config)
    outputs = reference.outputs(model, *families.inputs(config))
    return Reference(_of_hugging_face(model.state_dict(), config), outputs, config)


def siglip(config: ClipConfig) -> Reference:
    """transformers' SiglipModel, which SigLIP 2 of one resolution is too."""
    state, outputs = families.siglip(config)
    return Reference(_of_hugging_face(state, config), outputs, config)


def by_big_vision(config: ClipConfig, stacked: bool) -> Reference:
    """big_vision's own towers in Flax, by way of a file of its names."""
    return Reference(*big_vision.reference(config, stacked))


def open_clip(name: str, layers: int | None = None, **changed: Any) -> Reference:
    """open_clip's model of that name, whose vision tower may be timm's, cut to a few layers.

    changed: fields of our configuration that its document does not lead to.
    """
    import open_clip

    document = open_clip.get_model_config(name)
    if layers:
        document["text_cfg"]["layers"] = layers
    if layers and "timm_model_name" not in document["vision_cfg"]:
        document["vision_cfg"]["layers"] = layers
    if document.pop("custom_text", False):
        model = open_clip.model.CustomTextCLIP(**document)
        model.visual.trunk.blocks = model.visual.trunk.blocks[:layers]
        towers = model.visual.trunk.blocks, model.text.transformer.resblocks
    else:
        model = open_clip.model.CLIP(**document)
        towers = model.visual.transformer.resblocks, model.transformer.resblocks
    tensors = rules.unfuse(timm_names.to_openai(_arrays(families.draw(model).state_dict())))
    for unneeded in rules.NO_WEIGHTS[Layout.OPENAI]:
        tensors.pop(unneeded, None)
    tensors = open_clip_config.completed(tensors, {"model_cfg": document})
    config = open_clip_config.read(tensors, {"model_cfg": document}, name)
    outputs = families.outputs(config, model.encode_image, model.encode_text, towers)
    outputs["logits"] += float(tensors.get("logit_bias", 0.0))
    config = dataclasses.replace(config, **changed)
    return Reference(rules.to_ours(tensors, config, Layout.OPENAI, name), outputs, config)


def _of_hugging_face(state: dict[str, Any], config: ClipConfig) -> Mapping[str, Array]:
    return rules.to_ours(rules.unfuse(_arrays(state)), config, Layout.HUGGING_FACE, "transformers")


def _arrays(state: dict[str, Any]) -> dict[str, np.ndarray]:
    return {name: value.numpy() for name, value in state.items() if value.is_floating_point()}


MODELS: dict[str, tuple[str, Callable[[], Reference]]] = {
    "CLIP ViT-B/32": ("transformers", lambda: clip(PRESETS["vit_b32"])),
    "CLIP ViT-B/16": ("transformers", lambda: clip(PRESETS["vit_b16"])),
    "CLIP ViT-L/14": ("transformers", lambda: clip(PRESETS["vit_l14"])),
    "CLIP ViT-H/14": ("open_clip", lambda: open_clip("ViT-H-14", 2)),
    "PE-Core T/16-384": ("open_clip, timm", lambda: open_clip("PE-Core-T-16-384")),
    "PE-Core S/16-384": ("open_clip, timm", lambda: open_clip("PE-Core-S-16-384")),
    "PE-Core B/16": ("open_clip, timm", lambda: open_clip("PE-Core-B-16")),
    "PE-Core L/14-336": ("open_clip, timm", lambda: open_clip("PE-Core-L-14-336", 2)),
    "PE-Core G/14-448": ("open_clip, timm", lambda: open_clip("PE-Core-bigG-14-448", 2)),
    "SigLIP B/16": ("transformers", lambda: siglip(_SIGLIP_B)),
    "SigLIP B/16, exact GELU": (
        "open_clip, timm",
        lambda: open_clip("ViT-B-16-SigLIP", 2, activation="gelu"),
    ),
    "SigLIP B/16 of an .npz": ("big_vision", lambda: by_big_vision(_SIGLIP_B, False)),
    "SigLIP So400m/14 of an .npz, stacked": (
        "big_vision",
        lambda: by_big_vision(shortened(_SIGLIP_SO400M), True),
    ),
    "SigLIP So400m/14": (
        "transformers",
        lambda: siglip(shortened(_SIGLIP_SO400M)),
    ),
    "SigLIP 2 B/16": (
        "transformers",
        lambda: siglip(
            shortened(dataclasses.replace(_SIGLIP_B, vocab_size=256_000, towers=_SIGLIP_2))
        ),
    ),
    "SigLIP 2 So400m/14": (
        "transformers",
        lambda: siglip(
            shortened(ClipConfig(224, 14, _SO400M, _SO400M, 64, 256_000, 1152, "gelu_tanh",
                                 towers=_SIGLIP_2))
        ),
    ),
    "SigLIP 2 g-opt/16-256": ("open_clip, timm", lambda: open_clip("ViT-gopt-16-SigLIP2-256", 2)),
}  # fmt: skip


def compare(name: str) -> dict[str, Any]:
    """One row of the table."""
    library, make = MODELS[name]
    made = make()
    config = made.config
    frames, tokens = families.inputs(config)
    found = computed.outputs(computed.load(made.params, config), frames, tokens)
    worst = computed.differences(found, made.outputs)
    half = computed.load(made.params, dataclasses.replace(config, dtype="bfloat16"))
    blocks = {name: value for name, value in worst.items() if "_blocks" in name}
    return {
        "model": name,
        "reference": library,
        "layers": f"{config.vision.layers} + {config.text.layers}",
        "blocks": max(blocks.values()),
        **{key.replace("_", " "): value for key, value in worst.items() if key not in blocks},
        "cosine in bfloat16": computed.cosines(
            computed.embeddings(half, frames, tokens), made.outputs
        ),
    }


def beyond(row: dict[str, Any]) -> dict[str, float]:
    """The figures of a row of `compare` that are out of bounds."""
    return {
        name: value
        for name, value in row.items()
        if isinstance(value, float)
        and not (value >= computed.HALF_COSINE if "cosine" in name else value <= computed.TOLERANCE)
    }


# open_clip's SigLIPs whose GELU is held to ours, and how many layers of them fit a small machine.
GELUS: dict[str, tuple[str, int | None]] = {
    "SigLIP B/16": ("ViT-B-16-SigLIP", None),
    "SigLIP So400m/14": ("ViT-SO400M-14-SigLIP", 2),
    "SigLIP 2 B/16": ("ViT-B-16-SigLIP2", None),
    "SigLIP 2 g-opt/16-256": ("ViT-gopt-16-SigLIP2-256", 2),
}


def gelu(name: str) -> dict[str, Any]:
    """A SigLIP with the GELU it was trained with, beside open_clip's; a row of that table."""
    made = open_clip(*GELUS[name])
    model = computed.load(made.params, made.config)
    found = computed.embeddings(model, *families.inputs(made.config))
    wanted = {key: made.outputs[key] for key in found}
    return {
        "model in open_clip": name,
        "layers": f"{made.config.vision.layers} + {made.config.text.layers}",
        **{key.replace("_", " "): x for key, x in computed.differences(found, wanted).items()},
        "cosine": computed.cosines(found, wanted),
    }


def rows(
    names: Iterable[str], word: str, row_of: Callable[[str], dict[str, Any]]
) -> Iterator[dict[str, Any]]:
    """Of all models with that word in their name, printed as a table as they are found."""
    head = False
    for name in names:
        if word in name:
            row = row_of(name)
            if not head:
                print("\n| " + " | ".join(row) + " |\n|" + " --- |" * len(row))
                head = True
            cells = (
                value
                if isinstance(value, str)
                else f"{value:.6f}"
                if value > 0.5
                else f"{value:.1e}"
                for value in row.values()
            )
            print("| " + " | ".join(cells) + " |", flush=True)
            yield row


def main(argv: list[str] | None = None) -> int:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--json", type=Path, help="also write the figures into this file")
    parser.add_argument("--only", default="", help="models with this word in their name")
    options = parser.parse_args(argv)
    versions = {name: metadata.version(name) for name in PACKAGES}
    print(", ".join(f"{name} {version}" for name, version in versions.items()))
    with jax.default_matmul_precision("highest"):
        found = [*rows(MODELS, options.only, compare)]
        apart = [*rows(GELUS, options.only, gelu)]
    if options.json:
        written = {"versions": versions, "models": found, "GELU": apart}
        options.json.write_text(json.dumps(written, indent=1) + "\n")
    return 1 if any(map(beyond, found)) else 0


if __name__ == "__main__":
    raise SystemExit(main())
