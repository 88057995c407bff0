"""`animclip export SOURCE --out DIR [--format FORMAT]`: a trained model in a form that others read.

SOURCE is the folder of a run, whose newest checkpoint is taken, or of a model, which `animclip
convert` and `animclip export --format=safetensors` write. DIR appears when what is in it has been
read again and computes what the model does.
"""

from __future__ import annotations

import sys

if __name__ == "__main__":  # before the slow imports, so that Ctrl-C ends these in one line, too
    from animclip_jax.cli.flags import main as animclip

    sys.exit(animclip(["export", *sys.argv[1:]]))

import functools
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from animclip_jax import api
from animclip_jax.cli.signals import stoppable
from animclip_jax.exporting import example, functions, hugging_face, own, saved_model, stablehlo
from animclip_jax.exporting import source as sources
from animclip_jax.exporting.source import Source
from animclip_jax.files import new_folder, require_new
from animclip_jax.options.export import parse
from animclip_jax.weights import folder, manifest, vocabulary


class Format(NamedTuple):
    """How a format is written and read again.

    takes_all: it holds whole models, not dual encoders alone. has_functions: what it holds has the
    functions of `functions.make`. packages: whose versions its manifest says besides.
    """

    write: Callable[[Path, Source], None]
    load: Callable[[Path], functions.Loaded]
    takes_all: bool = True
    has_functions: bool = False
    packages: tuple[str, ...] = ()


def formats(batch_size: int | None = None) -> dict[str, Format]:
    """All formats by name; batch_size: the only one that a SavedModel takes, None for any."""
    return {
        folder.KIND: Format(own.write, own.load),
        hugging_face.KIND: Format(
            hugging_face.write,
            hugging_face.load,
            takes_all=False,
        ),
        stablehlo.KIND: Format(
            stablehlo.write,
            stablehlo.load,
            has_functions=True,
        ),
        saved_model.KIND: Format(
            functools.partial(saved_model.write, batch_size=batch_size),
            saved_model.load,
            has_functions=True,
            packages=("tensorflow", "tensorflow-cpu"),
        ),
    }


def export(source: Source, out: Path, kind: str, batch_size: int | None = None) -> Source:
    """Writes a folder, whole or not at all, when what it holds computes what the model does.

    Returns:
      what of the model is in it.

    Raises:
      FileExistsError: the folder is there already. ValueError: the format can't hold that model, or
        does not compute the same.
    """
    form = formats(batch_size)[kind]
    if not form.takes_all:
        source = sources.dual_encoders(source)
    config = api.whole_config(source.config, source.num_frames)
    params = api.whole_params(source.params, source.config, source.num_frames)
    with new_folder(out) as temporary:
        arrays = example.inputs(config, batch_size or example.ITEMS)
        arrays |= example.outputs(params, config, arrays)
        form.write(temporary, source)
        vocabulary.keep(temporary, config.clip.tokenizer)
        made = functions.describe(
            functions.make(source.config, source.num_frames, batch_size), config.clip.vocab_size
        )
        shown = {"frames", "tokens", *(name for one in made.values() for name in one["outputs"])}
        shown_arrays = {name: arrays[name] for name in sorted(shown)}
        folder.write_tensors(temporary / example.FILE, shown_arrays)
        contents = sources.describe(source) | ({"functions": made} if form.has_functions else {})
        if kind == stablehlo.KIND:
            contents |= stablehlo.needs()
        manifest.write(temporary, kind, contents, form.packages)
        example.check(form.load(temporary), arrays, config)
    return source


@stoppable("animclip export")
def main(argv: list[str] | None = None) -> int:
    """Returns 0, or 1 after saying on stderr what is wrong."""
    options = parse(argv)
    try:
        require_new(options.out)
        source = sources.read(options.source)
        source = export(source, options.out, options.format, options.batch_size)
    except (OSError, ValueError) as error:
        print(f"animclip export: {error}", file=sys.stderr)
        return 1
    millions = sum(value.size for value in source.params.values()) / 1e6
    print(f"{options.out}: {millions:.1f} million parameters, computes what the model does")
    if left := source.origin.get("left_out"):
        print(f"not exported, because the format cannot hold it: {', '.join(left)}")
    return 0
