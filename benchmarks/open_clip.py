"""Do open_clip's architectures compute the same after they were converted?

    python -m benchmarks.open_clip make FOLDER       where open_clip_torch is installed, without JAX
    python -m benchmarks.open_clip compare FOLDER    where we are installed

The first writes each architecture that converts (tests/weights/open_clip_models.json) with random
weights, all biases and scales drawn too, as open_clip's own folder, and the features that open_clip
computes of two random pictures and captions. To be small it has two layers a tower and a vocabulary
of 1,000; every other size is its own. The second converts the folder and compares. A SigLIP is
compared with both of GELU's forms too, for open_clip takes other ones than SigLIP was trained with.
"""

import argparse
import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

MODELS = Path(__file__).resolve().parents[1] / "tests" / "weights" / "open_clip_models.json"
LAYERS, VOCABULARY = 2, 1000
_GELUS = ("gelu", "gelu_tanh")


def small(config: dict[str, Any]) -> dict[str, Any]:
    """The architecture with few layers and few words; `make` cuts the layers of timm's towers."""
    by_timm = "timm_model_name" in config["vision_cfg"]
    vision = config["vision_cfg"] | ({} if by_timm else {"layers": LAYERS})
    text = config["text_cfg"] | {"layers": LAYERS, "vocab_size": VOCABULARY}
    return config | {"vision_cfg": vision, "text_cfg": text}


def make(folder: Path, only: str = "") -> None:
    """Writes FOLDER/NAME for each architecture that converts and has that word in its name."""
    import open_clip
    import torch
    from safetensors.torch import save_file

    listed = json.loads(MODELS.read_text())["models"]
    names = [name for name, model in listed.items() if model["converts"] and only in name]
    for number, name in enumerate(names):
        config = small(open_clip.get_model_config(name))
        # SigLIP's towers have no buffers; all else is drawn below, a billion numbers once and not
        # twice.
        empty = "SigLIP" in name
        if config.pop("custom_text", False):
            with torch.device("meta" if empty else "cpu"):
                model = open_clip.model.CustomTextCLIP(**config).eval().float()
            model.visual.trunk.blocks = model.visual.trunk.blocks[:LAYERS]
            model = model.to_empty(device="cpu") if empty else model
        else:
            model = open_clip.model.CLIP(**config).eval().float()
        generator = torch.Generator().manual_seed(number)
        with torch.no_grad():
            for key, parameter in model.named_parameters():
                noise = torch.randn(parameter.shape, generator=generator)
                if key == "logit_scale":
                    parameter.fill_(2.5)
                elif (".ln_" in f".{key}" or "norm" in key) and key.endswith("weight"):
                    parameter.copy_(1 + 0.1 * noise)
                elif parameter.ndim > 1 and "embed" not in key and "latent" not in key:
                    parameter.copy_(noise * parameter[0].numel() ** -0.5)
                else:
                    parameter.copy_(0.1 * noise)
            size, length = config["vision_cfg"]["image_size"], config["text_cfg"]["context_length"]
            pixels = torch.rand((2, 3, size, size), generator=generator)
            tokens = torch.zeros((2, length), dtype=torch.long)
            for row, end in enumerate((5, length - 1)):
                tokens[row, :end] = torch.randint(1, VOCABULARY - 2, (end,), generator=generator)
                tokens[row, 0], tokens[row, end] = VOCABULARY - 2, VOCABULARY - 1
            half = [0.5, 0.5, 0.5]
            halved = name.startswith("PE-") or "SigLIP" in name
            mean = torch.tensor(half if halved else open_clip.OPENAI_DATASET_MEAN)[:, None, None]
            std = torch.tensor(half if halved else open_clip.OPENAI_DATASET_STD)[:, None, None]
            image = model.encode_image((pixels - mean) / std, normalize=True)
            text = model.encode_text(tokens, normalize=True)
        out = folder / name
        out.mkdir(parents=True)
        (out / "open_clip_config.json").write_text(json.dumps({"model_cfg": config}))
        save_file(model.state_dict(), out / "open_clip_model.safetensors")
        frames = pixels.permute(0, 2, 3, 1).contiguous().numpy()
        found = {"image": image.numpy(), "text": text.numpy()}
        np.savez(folder / f"{name}.npz", frames=frames, tokens=tokens.int().numpy(), **found)


def compare(path: Path) -> dict[str, dict[str, float]]:
    """By the activation, the model's own first: how far the features are from those in `path`.

    Of "image" and of "text" the greatest difference of a normalised feature, over the greatest one.
    """
    import jax
    from flax import nnx, traverse_util

    from animclip_jax.models.parameters import abstract
    from animclip_jax.weights import source

    params, config = source.read(path.with_suffix(""))
    tree = traverse_util.unflatten_dict(params, sep="/")
    with np.load(path) as arrays:
        given = dict(arrays)
    # Patches of 14 leave out the last rows and columns of 384, which ours does not take.
    seen = given["frames"][:, : config.image_size, : config.image_size]
    found = {}
    for activation in dict.fromkeys((config.activation, *_GELUS)):
        if activation != config.activation and config.activation != "gelu_tanh":
            continue
        model = nnx.merge(abstract(dataclasses.replace(config, activation=activation))[0], tree)
        with jax.default_matmul_precision("highest"):
            image, text = model.vision(seen)[0], model.text(given["tokens"])[0]
        found[activation] = {
            "image": _relative(np.asarray(image), given["image"]),
            "text": _relative(np.asarray(text), given["text"]),
        }
    return found


def _relative(ours: np.ndarray, theirs: np.ndarray) -> float:
    ours = ours / np.linalg.norm(ours, axis=-1, keepdims=True)
    return float(np.abs(ours - theirs).max() / np.abs(theirs).max())


def main(argv: list[str] | None = None) -> int:
    """Makes the folder, or prints the differences."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("make", "compare"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", default="", help="architectures with this word in their name")
    options = parser.parse_args(argv)
    if options.what == "make":
        make(options.folder, options.only)
        return 0
    for path in sorted(options.folder.glob("*.npz")):
        if options.only not in path.stem:
            continue
        found = compare(path)
        line = f"{path.stem:28} {max(next(iter(found.values())).values()):.1e}"
        if len(found) > 1:
            for feature in ("image", "text"):
                least, fits = min((one[feature], name) for name, one in found.items())
                line += f"  {feature} with {fits} {least:.1e}"
        print(line, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
