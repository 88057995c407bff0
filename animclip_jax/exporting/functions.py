"""The model as functions of named arrays, for programs that know nothing of ours.

What one function gives, another takes by the same name. Sizes that the caller chooses are called
`batch` and `length`, that of captions, at most the context length. A text tower that reads padding
takes captions of the context length alone.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import jax
import jax.export
import jax.numpy as jnp
import numpy as np
from flax import nnx, traverse_util

from animclip_jax.api import whole_config, whole_params
from animclip_jax.models import parameters
from animclip_jax.models.clip import ClipConfig
from animclip_jax.models.retriever import Retriever, RetrieverConfig, TextFeatures, VideoFeatures
from animclip_jax.models.video_code import PackedCode
from animclip_jax.retrieval.encode import Encoder

# A program holds what each of these needs.
PLATFORMS = ("cpu", "cuda", "tpu")
# What the fields of TextFeatures and VideoFeatures are called outside. Only models with an eye for
# motion have text_asked, and only int8 codes have scales.
TEXT = ("text_embedding", "text_hidden", "text_mask", "text_asked")
VIDEO = ("video_embedding", "video_code", "video_code_scales")

Named = dict[str, Any]
# An export that has been loaded: functions by name, of arrays among which their inputs are.
Loaded = dict[str, Callable[[Named], Named]]


class Function(NamedTuple):
    """A pure function (parameters by slash-joined path, inputs by name) -> outputs by name.

    parameters, inputs, outputs: ShapeDtypeStructs, with sizes of `jax.export.symbolic_shape`.
    """

    call: Callable[[Mapping[str, Any], Named], Named]
    parameters: Named
    inputs: Named
    outputs: Named


def named_text(text: TextFeatures) -> Named:
    """Captions' features by their names outside."""
    features = zip(TEXT, text, strict=True)
    return {name: value for name, value in features if value is not None}


def named_video(video: VideoFeatures) -> Named:
    """Videos' features, as they are stored, by their names outside."""
    assert isinstance(video.code, PackedCode)
    features = zip(VIDEO, (video.embedding, *video.code), strict=True)
    return {name: value for name, value in features if value is not None}


def of_encoder(encoder: Encoder, reranks: bool) -> Loaded:
    """A model's own functions, as those of an export."""

    def encode_text(given: Named) -> Named:
        return named_text(encoder.encode_text(given["tokens"]))

    def video_code(given: Named) -> Named:
        return named_video(encoder.encode_video(given["frames"], len(given["frames"])))

    def rerank(given: Named) -> Named:
        scores = encoder.fused_scores(*features(given), None, None)
        return {"scores": np.asarray(scores)}

    if reranks:
        return {"encode_text": encode_text, "video_code": video_code, "rerank": rerank}
    return {"encode_text": encode_text, "encode_video": video_code}


def features(given: Named) -> tuple[TextFeatures, VideoFeatures]:
    """What was named by `named_text` and `named_video`."""
    text_embedding, hidden, mask, asked = TEXT
    text = TextFeatures(given[text_embedding], given[hidden], given[mask], given.get(asked))
    embedding, values, scales = VIDEO
    code = PackedCode(given[values], given.get(scales))
    return text, VideoFeatures(given[embedding], code)


def require_tokens(tokens: np.ndarray, document: Mapping[str, Any], name: str) -> None:
    """Raises ValueError for captions that are of no length that a function takes, or are no tokens.

    Args:
      document: the manifest. name: of the function.
    """
    longest = document["tokens"]["shape"][1]
    _, length = document["functions"][name]["inputs"]["tokens"]["shape"]
    if length == longest and tokens.shape[1:] != (longest,):
        raise ValueError(
            f"tokens have shape {list(tokens.shape)}, wanted [captions, {longest}]: keep "
            f"all of their padding, as the model's tokenizer gives it; {name}() reads it"
        )
    if tokens.ndim != 2 or not 1 <= tokens.shape[1] <= longest:
        raise ValueError(
            f"tokens have shape {list(tokens.shape)}, wanted [captions, length], length at most "
            f"{longest}, the model's context: cut longer captions and keep their end token"
        )


@contextlib.contextmanager
def without_paths() -> Iterator[None]:
    """Programs written in this block say nothing of the files of Python that they come from."""
    name = "jax_traceback_in_locations_limit"
    before = getattr(jax.config, name)
    jax.config.update(name, 0)
    try:
        yield
    finally:
        jax.config.update(name, before)


def make(
    config: ClipConfig | RetrieverConfig,
    num_frames: int,
    batch_size: int | None = None,
    any_length: bool = True,
) -> dict[str, Function]:
    """The functions that a model has by their names.

    encode_text and encode_video give embeddings. A whole model's encode_text also gives the
    re-ranker's text inputs; video_code gives its video inputs, the embedding too; and rerank scores
    pairs, caption and video of each row.

    Args:
      config: of what the parameters are of. batch_size: the only one, and captions at their full
        length; None leaves both sizes to who calls. any_length: False leaves the batch's alone.
    """
    reranks = isinstance(config, RetrieverConfig)
    whole = whole_config(config, num_frames)
    graphdef = parameters.graph_definition(whole)

    def model(params: Mapping[str, Any]) -> Retriever:
        every = whole_params(params, config, num_frames)
        return nnx.merge(graphdef, traverse_util.unflatten_dict(every, sep="/"))

    def encode_text(params: Mapping[str, Any], given: Named) -> Named:
        found = named_text(model(params).encode_text(given["tokens"]))
        return found if reranks else {TEXT[0]: found[TEXT[0]]}

    def video_code(params: Mapping[str, Any], given: Named) -> Named:
        merged = model(params)
        return named_video(merged.stored(merged.encode_video(given["frames"] / 255.0)))

    def encode_video(params: Mapping[str, Any], given: Named) -> Named:
        return {VIDEO[0]: video_code(params, given)[VIDEO[0]]}

    def rerank(params: Mapping[str, Any], given: Named) -> Named:
        return {"scores": model(params).fused_scores(*features(given))}

    clip = whole.clip
    batch, batch_alone, length = _sizes(batch_size, any_length, clip)
    sizes = parameters.shapes(config).items()
    arrays = {name: jax.ShapeDtypeStruct(size, jnp.float32) for name, size in sizes}

    def made(call: Callable[[Mapping[str, Any], Named], Named], inputs: Named) -> Function:
        return Function(call, arrays, inputs, jax.eval_shape(call, arrays, inputs))

    def frames(batch: Any) -> Named:
        shape = (batch, num_frames, clip.image_size, clip.image_size, 3)
        return {"frames": jax.ShapeDtypeStruct(shape, jnp.uint8)}

    tokens = {"tokens": jax.ShapeDtypeStruct((batch, length), jnp.int32)}
    found = {
        "encode_text": made(encode_text, tokens),
        "encode_video": made(encode_video, frames(batch_alone)),
    }
    if reranks:
        found["video_code"] = made(video_code, frames(batch_alone))
        pairs = found["encode_text"].outputs | made(video_code, frames(batch)).outputs
        found["rerank"] = made(rerank, pairs)
    return found


def _sizes(batch_size: int | None, any_length: bool, clip: ClipConfig) -> tuple[Any, Any, Any]:
    """The batch beside captions, the batch without them, and the captions' length."""
    longest = clip.context_length
    # A size that an input does not have may not be spoken of.
    (batch_alone,) = jax.export.symbolic_shape("batch")
    if batch_size is not None or not any_length or not clip.towers.text.cuts_padding:
        size = batch_size or batch_alone
        return size, size, longest
    batch, length = jax.export.symbolic_shape(
        "batch, length", constraints=(f"length <= {longest}",)
    )
    return batch, batch_alone, length


def describe(functions: Mapping[str, Function], vocab_size: int) -> dict[str, Any]:
    """Names, dtypes, shapes and ranges of what functions take and give, as JSON values."""
    # Least and greatest value; embeddings have length one.
    ranges = {
        "frames": (0, 255),
        "tokens": (0, vocab_size - 1),
        TEXT[0]: (-1, 1),
        VIDEO[0]: (-1, 1),
    }

    def arrays(structs: Named) -> dict[str, Any]:
        return {
            name: {
                "dtype": str(struct.dtype),
                "shape": [size if isinstance(size, int) else str(size) for size in struct.shape],
            }
            | ({"range": ranges[name]} if name in ranges else {})
            for name, struct in structs.items()
        }

    return {
        name: {"inputs": arrays(function.inputs), "outputs": arrays(function.outputs)}
        for name, function in functions.items()
    }
