"""Every format of an export by its name, and how a model is written in one of them."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from animclip_jax import api
from animclip_jax.exporting import (
    example,
    functions,
    hub_folder,
    hugging_face,
    model_card,
    onnx_files,
    own,
    saved_model,
    stablehlo,
)
from animclip_jax.exporting import source as sources
from animclip_jax.exporting.source import Source
from animclip_jax.files import new_folder
from animclip_jax.weights import folder, manifest, vocabulary


class Format(NamedTuple):
    """How a format is written and read again.

    takes_all: it holds whole models, not dual encoders alone. has_functions: what it holds has the
    functions of `functions.make`. any_length: they take captions that are cut. packages: whose
    versions its manifest says besides. kind: what its manifest is of, if not that format. finish:
    writes what the manifest does not list.
    """

    write: Callable[[Path, Source], None]
    load: Callable[[Path], functions.Loaded]
    takes_all: bool = True
    has_functions: bool = False
    any_length: bool = True
    packages: tuple[str, ...] = ()
    kind: str | None = None
    finish: Callable[[Path, Source], None] | None = None


def formats(
    batch_size: int | None = None, facts: model_card.Facts | None = None
) -> dict[str, Format]:
    """All formats by name.

    Args:
      batch_size: the only one that a SavedModel takes, None for any.
      facts: what a model card says beside what is known of the model.
    """
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
        onnx_files.KIND: Format(
            onnx_files.write,
            onnx_files.load,
            takes_all=False,
            has_functions=True,
            any_length=False,
            packages=("jax2onnx", "onnx", "onnxruntime"),
        ),
        hub_folder.KIND: Format(
            hub_folder.write,
            own.load,
            kind=folder.KIND,
            finish=functools.partial(hub_folder.finish, facts=facts or model_card.Facts()),
        ),
    }


def export(
    source: Source,
    out: Path,
    kind: str,
    batch_size: int | None = None,
    facts: model_card.Facts | None = None,
) -> Source:
    """Writes a folder, whole or not at all, when what it holds computes what the model does.

    Returns:
      what of the model is in it.

    Raises:
      FileExistsError: the folder is there already. ValueError: the format can't hold that model, or
        does not compute the same.
    """
    form = formats(batch_size, facts)[kind]
    if not form.takes_all:
        source = sources.dual_encoders(source)
    if kind == hugging_face.KIND:
        source = hugging_face.without_bias(source)
    if kind == hub_folder.KIND:
        source = hub_folder.public(source)
    config = api.whole_config(source.config, source.num_frames)
    params = api.whole_params(source.params, source.config, source.num_frames)
    with new_folder(out) as temporary:
        arrays = example.inputs(config, batch_size or example.ITEMS)
        arrays |= example.outputs(params, config, arrays)
        form.write(temporary, source)
        vocabulary.keep(temporary, config.clip.tokenizer)
        made = functions.describe(
            functions.make(source.config, source.num_frames, batch_size, form.any_length),
            config.clip.vocab_size,
        )
        shown = {"frames", "tokens", *(name for one in made.values() for name in one["outputs"])}
        shown_arrays = {name: arrays[name] for name in sorted(shown)}
        folder.write_tensors(temporary / example.FILE, shown_arrays)
        contents = sources.describe(source) | ({"functions": made} if form.has_functions else {})
        if kind == stablehlo.KIND:
            contents |= stablehlo.needs()
        manifest.write(temporary, form.kind or kind, contents, form.packages)
        example.check(form.load(temporary), arrays, config)
        if form.finish is not None:
            form.finish(temporary, source)
    return source
