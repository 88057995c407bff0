"""A random CLIP of Hugging Face's transformers, what it computes, and the golden files made of it.

`python -m tests.weights.reference` (with the extra `parity`) writes tests/weights/golden/, so that
parity is tested where PyTorch is not installed. Every parameter is drawn at random, also those that
a fresh model has at 0 or 1: a bias in the wrong place is seen.
"""

from __future__ import annotations

import io
import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from animclip_jax.models.clip import ClipConfig
from animclip_jax.models.towers import CLIP
from animclip_jax.models.transformer import TransformerConfig

GOLDEN = Path(__file__).parent / "golden"
# No two sizes are equal, so that nothing fits by chance; a head of OpenAI's is 64 wide, or the
# whole width of a narrower model.
GOLDEN_CLIP = ClipConfig(
    image_size=24,
    patch_size=8,
    vision=TransformerConfig(width=20, layers=2, heads=1, mlp_width=36),
    text=TransformerConfig(width=18, layers=1, heads=1, mlp_width=28),
    context_length=12,
    vocab_size=99,
    embed_dim=14,
)
# The same sizes with several heads.
GOLDEN_HEADS = {"vision": 4, "text": 3}


def random_clip(config: ClipConfig, seed: int = 0) -> Any:
    """A `transformers.CLIPModel` of that architecture, float32."""
    import torch
    import transformers

    from animclip_jax.weights import hugging_face_config

    described = transformers.CLIPConfig(**hugging_face_config.write(config))
    model = transformers.CLIPModel(described).eval().float()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            if name == "logit_scale":
                parameter.fill_(2.5)
            elif "norm" in name and name.endswith("weight") or "layrnorm.weight" in name:
                parameter.copy_(1 + 0.1 * noise)
            elif parameter.ndim > 1 and "embedding" not in name:
                parameter.copy_(noise * parameter[0].numel() ** -0.5)
            else:
                parameter.copy_(0.1 * noise)
    return model


def inputs(config: ClipConfig, count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """frames float32 [count, S, S, 3] in [0, 1] and tokens int32 [count, L], of several lengths."""
    rng = np.random.default_rng(seed)
    size, length, vocab = config.image_size, config.context_length, config.vocab_size
    frames = rng.integers(0, 256, (count, size, size, 3)).astype(np.float32) / 255
    tokens = np.zeros((count, length), np.int32)
    for row in tokens:
        end = rng.integers(2, length)
        row[:end] = rng.integers(1, vocab - 2, end)
        row[0], row[end] = vocab - 2, vocab - 1
    return frames, tokens


def outputs(model: Any, frames: np.ndarray, tokens: np.ndarray) -> dict[str, np.ndarray]:
    """Embeddings, logits [text, image], and what enters and leaves each block of both towers."""
    import torch

    pixels = (frames - np.array(CLIP.pixels.mean, np.float32)) / np.array(
        CLIP.pixels.std, np.float32
    )
    with torch.no_grad():
        images = torch.from_numpy(pixels.transpose(0, 3, 1, 2).copy())
        captions = torch.from_numpy(tokens).long()
        vision = model.vision_model(pixel_values=images, output_hidden_states=True)
        text = model.text_model(input_ids=captions, output_hidden_states=True)
        whole = model(input_ids=captions, pixel_values=images)
        result = {
            "image_embedding": model.visual_projection(vision.pooler_output),
            "text_embedding": model.text_projection(text.pooler_output),
            "logits": whole.logits_per_text,
            "vision_blocks": torch.stack(vision.hidden_states),
            "text_blocks": torch.stack(text.hidden_states),
        }
    return {name: value.numpy() for name, value in result.items()}


def openai_module(model: Any, config: ClipConfig) -> Any:
    """A torch module with the weights of `random_clip`, under the names that OpenAI's CLIP has."""
    from tests.weights.openai_clip import OpenAiClip

    module = OpenAiClip(config).eval()
    module.load_state_dict(openai_names(model.state_dict(), config), strict=False)
    return module


def openai_names(state: dict[str, Any], config: ClipConfig) -> dict[str, Any]:
    """Hugging Face's tensors under OpenAI's names, written down apart from the library's table."""
    import torch

    result = {
        "visual.conv1.weight": state["vision_model.embeddings.patch_embedding.weight"],
        "visual.class_embedding": state["vision_model.embeddings.class_embedding"],
        "visual.positional_embedding": state["vision_model.embeddings.position_embedding.weight"],
        "visual.proj": state["visual_projection.weight"].T,
        "token_embedding.weight": state["text_model.embeddings.token_embedding.weight"],
        "positional_embedding": state["text_model.embeddings.position_embedding.weight"],
        "text_projection": state["text_projection.weight"].T,
        "logit_scale": state["logit_scale"],
    }
    for part in ("weight", "bias"):
        result[f"visual.ln_pre.{part}"] = state[f"vision_model.pre_layrnorm.{part}"]
        result[f"visual.ln_post.{part}"] = state[f"vision_model.post_layernorm.{part}"]
        result[f"ln_final.{part}"] = state[f"text_model.final_layer_norm.{part}"]
        for here, there, layers in (
            ("vision_model", "visual.", config.vision.layers),
            ("text_model", "", config.text.layers),
        ):
            for i in range(layers):
                a, b = f"{here}.encoder.layers.{i}", f"{there}transformer.resblocks.{i}"
                result[f"{b}.attn.in_proj_{part}"] = torch.cat(
                    [state[f"{a}.self_attn.{name}_proj.{part}"] for name in "qkv"]
                )
                for old, new in (
                    ("self_attn.out_proj", "attn.out_proj"),
                    ("layer_norm1", "ln_1"),
                    ("layer_norm2", "ln_2"),
                    ("mlp.fc1", "mlp.c_fc"),
                    ("mlp.fc2", "mlp.c_proj"),
                ):
                    result[f"{b}.{new}.{part}"] = state[f"{a}.{old}.{part}"]
    return result


def save_script(module: Any, frames: np.ndarray, tokens: np.ndarray, path: Path) -> None:
    """Writes a module as a TorchScript archive, which is how OpenAI published its models."""
    import torch

    images = torch.from_numpy(frames.transpose(0, 3, 1, 2).copy())
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # It is deprecated, and can't know what a mask hangs on.
        traced = torch.jit.trace(module, (images, torch.from_numpy(tokens).long()))
        torch.jit.save(traced.half(), path)


def picture(height: int, width: int, seed: int = 0) -> bytes:
    """A JPEG with smooth and fine structure in every channel."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width][..., None]
    waves = np.zeros((height, width, 3))
    for a, b, c in rng.uniform(0.02, 0.9, (6, 3, 3)):  # down, across, phase of each channel
        waves += np.sin(y * a + x * b + 7 * c)
    buffer = io.BytesIO()
    pixels = np.clip(127 + 40 * waves, 0, 255).astype(np.uint8)
    Image.fromarray(pixels).save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


def make_golden() -> None:
    """Writes the golden files anew."""
    from safetensors.torch import save_file

    # Half precision halves the files, and every value of it is one of float32.
    model = random_clip(GOLDEN_CLIP).half().float()
    half = {name: value.half().contiguous() for name, value in model.state_dict().items()}
    save_file(half, GOLDEN / "model.safetensors", metadata={"format": "pt"})
    for heads in (None, GOLDEN_HEADS):
        config = model.config
        if heads:
            config.vision_config.num_attention_heads = heads["vision"]
            config.text_config.num_attention_heads = heads["text"]
        several = type(model)(config).eval()
        several.load_state_dict(model.state_dict())
        frames, tokens = inputs(GOLDEN_CLIP, 3)
        name = "heads" if heads else "one_head"
        found: Any = outputs(several, frames, tokens)
        np.savez(GOLDEN / f"{name}.npz", **found)
        (GOLDEN / f"{name}.json").write_text(json.dumps(config.to_diff_dict(), indent=1) + "\n")
    save_script(openai_module(model, GOLDEN_CLIP), frames, tokens, GOLDEN / "openai.pt")


if __name__ == "__main__":
    make_golden()
