"""`animclip convert SOURCE --out DIR`: CLIP's weights from one layout into another.

SOURCE is a folder (Hugging Face's CLIPModel, open_clip's or ours), a file (OpenAI's .pt,
open_clip's .safetensors, big_vision's or VideoPrism's .npz), or a name on the Hugging Face Hub such
as openai/clip-vit-base-patch32.
"""

from __future__ import annotations

import sys

if __name__ == "__main__":  # before the slow imports, so that Ctrl-C ends these in one line, too
    from animclip_jax.cli.flags import main as animclip

    sys.exit(animclip(["convert", *sys.argv[1:]]))

import dataclasses
from collections.abc import Mapping
from pathlib import Path

from animclip_jax.cli.signals import stoppable
from animclip_jax.exporting import hugging_face, open_clip
from animclip_jax.exporting import source as sources
from animclip_jax.files import require_new
from animclip_jax.options.convert import parse
from animclip_jax.weights import big_vision, folder, hub, positions, published
from animclip_jax.weights.deferred import Array
from input_pipeline.tokenizers.opening import open_tokenizer

# Of other layouts than ours.
WRITERS = {
    "big_vision": big_vision.save,
    "hugging_face": hugging_face.save,
    "open_clip": open_clip.save,
}


@stoppable("animclip convert")
def main(argv: list[str] | None = None) -> int:
    """Returns 0, or 1 after saying on stderr what is wrong."""
    options = parse(argv)
    try:
        require_new(options.out)
        path = Path(options.source)
        if not path.exists() and hub.is_repository(options.source):
            model = published.read(options.source, options.revision, options.activation)
        elif options.revision:
            raise ValueError(f"--revision={options.revision}: {path} is not on the Hub")
        else:
            model = published.local(path, options.activation)
        params: Mapping[str, Array]
        params, config = folder.dual_encoders(model.params, model.config)
        if options.tokenizer:
            config = dataclasses.replace(config, tokenizer=str(options.tokenizer))
        open_tokenizer(*config.reading)
        found = config.image_size
        if options.image_size:
            params, config = positions.resize(params, config, options.image_size)
        left = folder.left_out(model.params, model.config)
        is_changed = options.tokenizer or options.image_size
        if options.to == folder.FORMAT and not is_changed:
            model.save(options.out)
            params, left = model.params, []
        elif options.to == folder.FORMAT:
            folder.save(options.out, params, config, model.origin)
        else:
            WRITERS[options.to](options.out, params, config)
    except (OSError, ValueError) as error:
        print(f"animclip convert: {error}", file=sys.stderr)
        return 1
    millions = sum(value.size for value in params.values()) / 1e6
    resized = f", position embeddings resized from {found}" if found != config.image_size else ""
    print(
        f"{options.out}: {millions:.1f} million parameters in the layout of {options.to}, "
        f"{config.image_size} pixels, patches of {config.patch_size}{resized}"
    )
    if left and options.to == folder.FORMAT:
        reason = "--image-size and --tokenizer change the dual encoders alone"
        print(sources.left_out_in_words(left, reason))
    elif left:
        print(sources.left_out_in_words(left))
    if "repository" in model.origin:
        print(f"from {model.origin['repository']} at commit {model.origin['commit']}")
    return 0
