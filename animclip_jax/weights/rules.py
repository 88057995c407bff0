"""The names and shapes of dual encoders' weights in three layouts, as one table of rules.

Ours are the parameters of `models.clip.Clip` by slash-joined path, layers stacked along their first
axis. Hugging Face's `CLIPModel` and `SiglipModel` keep a tensor a layer and linear weights as
[out, in]. OpenAI's layout, which open_clip and PE-Core follow, fuses query, key and value and keeps
CLIP's projections as [in, out]: `unfuse` takes that apart first.
"""

from __future__ import annotations

import enum
import functools
import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import ml_dtypes
import numpy as np

from animclip_jax import words
from animclip_jax.models import parameters, towers
from animclip_jax.models.clip import ClipConfig
from animclip_jax.models.towers import TextTowerConfig, Towers, VisionTowerConfig
from animclip_jax.models.transformer import TransformerConfig
from animclip_jax.weights.deferred import Array, Deferred


class Layout(enum.Enum):
    """Who named the tensors of a file."""

    HUGGING_FACE = enum.auto()
    OPENAI = enum.auto()


# Names in a file that hold no weights.
NO_WEIGHTS = {
    Layout.HUGGING_FACE: {
        "text_model.embeddings.position_ids",
        "vision_model.embeddings.position_ids",
    },
    Layout.OPENAI: {"input_resolution", "context_length", "vocab_size"},
}


class Kind(enum.Enum):
    """How a tensor of theirs lies beside ours; several tensors are joined along their first axis.

    SAME: as it is. LINEAR: [out, in], ours [in, out]. CONV: [out, channel, row, column], ours
    [(row, column, channel), out].
    """

    SAME = enum.auto()
    LINEAR = enum.auto()
    CONV = enum.auto()


class Rule(NamedTuple):
    """One parameter of ours; `shape` is that of each of their tensors, a letter an axis.

    D width, M hidden width of the MLPs, m that of MAP pooling's, E embedding, N tokens of a frame,
    P side of a patch, C channels, V vocabulary, L context length.
    """

    ours: str
    hugging_face: str
    openai: str
    shape: str
    kind: Kind = Kind.SAME

    def keys(self, layout: Layout) -> list[str]:
        """Their tensors' names, without what stands before a layer's."""
        return (self.hugging_face if layout is Layout.HUGGING_FACE else self.openai).split()


def _norm(ours: str, hugging_face: str, openai: str) -> tuple[Rule, Rule]:
    return (
        Rule(f"{ours}/scale", f"{hugging_face}.weight", f"{openai}.weight", "D"),
        Rule(f"{ours}/bias", f"{hugging_face}.bias", f"{openai}.bias", "D"),
    )


def _linear(ours: str, hugging_face: str, openai: str, shape: str) -> tuple[Rule, Rule]:
    kernel = f"{hugging_face}.weight", f"{openai}.weight", shape, Kind.LINEAR
    return (
        Rule(f"{ours}/kernel", *kernel),
        Rule(f"{ours}/bias", f"{hugging_face}.bias", f"{openai}.bias", shape[0]),
    )


def _attention(ours: str, hugging_face: str, openai: str) -> tuple[Rule, ...]:
    """Query, key and value in one tensor, "in_proj", which `unfuse` has split."""
    fused = f"{hugging_face}.in_proj", f"{openai}.in_proj"
    return _attention_of(
        ours, *((f"{name}_{{}}[q]", f"{name}_{{}}[k]", f"{name}_{{}}[v]") for name in fused)
    ) + _linear(f"{ours}/out", f"{hugging_face}.out_proj", f"{openai}.out_proj", "DD")


def _attention_of(
    ours: str, hugging_face: tuple[str, str, str], openai: tuple[str, str, str]
) -> tuple[Rule, ...]:
    """Rules for queries, keys and values whose tensors' names have a {} for weight or bias."""
    found = []
    for part, places in (("query", slice(0, 1)), ("key_value", slice(1, 3))):
        one, other = " ".join(hugging_face[places]), " ".join(openai[places])
        kernel, bias = f"{ours}/{part}/kernel", f"{ours}/{part}/bias"
        weights = one.replace("{}", "weight"), other.replace("{}", "weight")
        found.append(Rule(kernel, *weights, "DD", Kind.LINEAR))
        found.append(Rule(bias, one.replace("{}", "bias"), other.replace("{}", "bias"), "D"))
    return tuple(found)


# One layer of either tower.
BLOCK = (
    *_norm("norm_1", "layer_norm1", "ln_1"),
    *_attention_of(
        "attention",
        ("self_attn.q_proj.{}", "self_attn.k_proj.{}", "self_attn.v_proj.{}"),
        ("attn.in_proj_{}[q]", "attn.in_proj_{}[k]", "attn.in_proj_{}[v]"),
    ),
    *_linear("attention/out", "self_attn.out_proj", "attn.out_proj", "DD"),
    *_norm("norm_2", "layer_norm2", "ln_2"),
    *_linear("mlp/up", "mlp.fc1", "mlp.c_fc", "MD"),
    *_linear("mlp/down", "mlp.fc2", "mlp.c_proj", "DM"),
)
PATCH = Rule(
    "patch_embedding/kernel",
    "vision_model.embeddings.patch_embedding.weight",
    "visual.conv1.weight",
    "DCPP",
    Kind.CONV,
)
PATCH_BIAS = Rule(
    "patch_embedding/bias",
    "vision_model.embeddings.patch_embedding.bias",
    "visual.conv1.bias",
    "D",
)
CLASS_TOKEN = Rule(
    "class_embedding",
    "vision_model.embeddings.class_embedding",
    "visual.class_embedding",
    "D",
)
POSITIONS = Rule(
    "position_embedding",
    "vision_model.embeddings.position_embedding.weight",
    "visual.positional_embedding",
    "ND",
)
NORM_PRE = _norm("norm_pre", "vision_model.pre_layrnorm", "visual.ln_pre")
NORM_POST = _norm("norm_post", "vision_model.post_layernorm", "visual.ln_post")
MAP_POOL = (
    Rule("map_pool/query", "vision_model.head.probe", "visual.attn_pool.probe", "11D"),
    *_attention("map_pool/attention", "vision_model.head.attention", "visual.attn_pool.attn"),
    *_norm("map_pool/norm", "vision_model.head.layernorm", "visual.attn_pool.layernorm"),
    *_linear("map_pool/mlp/up", "vision_model.head.mlp.fc1", "visual.attn_pool.mlp.c_fc", "mD"),
    *_linear("map_pool/mlp/down", "vision_model.head.mlp.fc2", "visual.attn_pool.mlp.c_proj", "Dm"),
)
VISION_PROJECTION = Rule(
    "projection/kernel", "visual_projection.weight", "visual.proj.T", "ED", Kind.LINEAR
)
TEXT = (
    Rule(
        "token_embedding/embedding",
        "text_model.embeddings.token_embedding.weight",
        "token_embedding.weight",
        "VD",
    ),
    Rule(
        "position_embedding",
        "text_model.embeddings.position_embedding.weight",
        "positional_embedding",
        "LD",
    ),
    *_norm("norm_final", "text_model.final_layer_norm", "ln_final"),
)
TEXT_MATRIX = Rule(
    "projection/kernel", "text_projection.weight", "text_projection.T", "ED", Kind.LINEAR
)
TEXT_DENSE = _linear("projection", "text_model.head", "text_projection", "ED")


def _vision_rules(tower: VisionTowerConfig) -> Iterator[Rule]:
    yield PATCH
    if tower.patch_bias:
        yield PATCH_BIAS
    if tower.class_token:
        yield CLASS_TOKEN
    yield POSITIONS
    if tower.norm_pre:
        yield from NORM_PRE
    yield from NORM_POST
    if tower.pool == towers.MAP:
        yield from MAP_POOL
    if tower.projection != towers.NONE:
        yield VISION_PROJECTION
    if tower.projection == towers.DENSE:
        yield Rule("projection/bias", "visual_projection.bias", "visual.proj.bias", "E")


def _text_rules(tower: TextTowerConfig) -> Iterator[Rule]:
    yield from TEXT
    yield from TEXT_DENSE if tower.projection == towers.DENSE else (TEXT_MATRIX,)


def _logit_rules(family: Towers, layout: Layout) -> Iterator[Rule]:
    """Of a `SiglipModel` both are arrays of one number."""
    shape = "1" if family.logit_bias and layout is Layout.HUGGING_FACE else ""
    yield Rule("log_logit_scale", "logit_scale", "logit_scale", shape)
    if family.logit_bias:
        yield Rule("logit_bias", "logit_bias", "logit_bias", shape)


# What stands before a layer's number.
_LAYERS = {
    (Layout.HUGGING_FACE, "vision"): "vision_model.encoder.layers.",
    (Layout.HUGGING_FACE, "text"): "text_model.encoder.layers.",
    (Layout.OPENAI, "vision"): "visual.transformer.resblocks.",
    (Layout.OPENAI, "text"): "transformer.resblocks.",
}


class Entry(NamedTuple):
    """A rule for one architecture: `keys[i]` are their tensors of layer i; one item, no layers."""

    ours: str
    stacked: bool
    keys: list[list[str]]
    shape: tuple[int, ...]
    kind: Kind


def entries(config: ClipConfig, layout: Layout) -> Iterator[Entry]:
    """The rules for a whole model."""
    family = config.towers
    for name, tower, rules in (
        ("vision", config.vision, _vision_rules(family.vision)),
        ("text", config.text, _text_rules(family.text)),
    ):
        sizes = _sizes(config, tower)
        for rule in rules:
            shape = tuple(sizes[letter] for letter in rule.shape)
            yield Entry(f"{name}/{rule.ours}", False, [rule.keys(layout)], shape, rule.kind)
        for rule in BLOCK:
            layers = [
                [f"{_LAYERS[layout, name]}{i}.{key}" for key in rule.keys(layout)]
                for i in range(tower.layers)
            ]
            shape = tuple(sizes[letter] for letter in rule.shape)
            ours = f"{name}/transformer/blocks/layers/{rule.ours}"
            yield Entry(ours, True, layers, shape, rule.kind)
    for rule in _logit_rules(family, layout):
        yield Entry(rule.ours, False, [rule.keys(layout)], (1,) * len(rule.shape), rule.kind)


def _sizes(config: ClipConfig, tower: TransformerConfig) -> dict[str, int]:
    return {
        "D": tower.width,
        "M": tower.mlp_width,
        "m": config.towers.vision.pool_mlp_width or tower.mlp_width,
        "E": config.embed_dim,
        "N": config.grid**2 + config.towers.vision.class_token,
        "P": config.patch_size,
        "C": 3,
        "V": config.vocab_size,
        "L": config.context_length,
        "1": 1,
    }


_FUSED = re.compile(r"(?:.*\.)?(?:attn|attention)\.in_proj_(?:weight|bias)")
# Matrices that are [in, out] there, as all of ours are.
_TURNED = ("visual.proj", "text_projection")


def unfuse(tensors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Splits in_proj_* into [q], [k], [v] and turns OpenAI's projections over (.T): views."""
    apart: dict[str, np.ndarray] = {}
    for key, tensor in tensors.items():
        if _FUSED.fullmatch(key) and tensor.ndim and tensor.shape[0] % 3 == 0:
            parts = np.split(tensor, 3)
            apart |= {f"{key}[{part}]": piece for part, piece in zip("qkv", parts, strict=True)}
        elif key in _TURNED:
            apart[f"{key}.T"] = tensor.T
        else:
            apart[key] = tensor
    return apart


def fuse(tensors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """What `unfuse` took apart, joined again."""
    whole: dict[str, np.ndarray] = {}
    for key, tensor in tensors.items():
        if key.endswith(".T"):
            whole[key.removesuffix(".T")] = np.ascontiguousarray(tensor.T)
        elif key.endswith("[q]"):
            name = key.removesuffix("[q]")
            whole[name] = np.concatenate([tensors[f"{name}[{part}]"] for part in "qkv"])
        elif not key.endswith(("[k]", "[v]")):
            whole[key] = tensor
    return whole


def to_ours(
    tensors: Mapping[str, Array], config: ClipConfig, layout: Layout, source: str
) -> dict[str, Deferred]:
    """Their tensors -> our parameters, float32, by slash-joined path, each made when it is used.

    Args:
      tensors: with a float dtype, through `unfuse`.
      source: what an error calls the file.

    Raises:
      ValueError: names every tensor that is missing, not expected, or of another shape or dtype.
    """
    check(tensors, config, layout, source)
    wanted = parameters.shapes(config)

    def make(entry: Entry) -> np.ndarray:
        target = np.empty(wanted[entry.ours], np.float32)
        for i, keys in enumerate(entry.keys):
            # Names like [D, H, head] are ours alone: the values lie in the same order.
            part = target[i] if entry.stacked else target
            given = [np.asarray(tensors[key]) for key in keys]
            part[...] = _read(entry.kind, given).reshape(part.shape)
        return target

    float32 = np.dtype(np.float32)
    return {
        entry.ours: Deferred(wanted[entry.ours], float32, functools.partial(make, entry))
        for entry in entries(config, layout)
    }


def to_theirs(
    params: Mapping[str, Array], config: ClipConfig, layout: Layout
) -> dict[str, np.ndarray]:
    """Our parameters by slash-joined path -> tensors named as in `layout`, float32, contiguous."""
    return fuse(to_parts(params, config, layout))


def to_parts(
    params: Mapping[str, Array], config: ClipConfig, layout: Layout
) -> dict[str, np.ndarray]:
    """As `to_theirs`, before queries, keys and values are fused and projections turned."""
    tensors: dict[str, np.ndarray] = {}
    for entry in entries(config, layout):
        value = np.asarray(params[entry.ours], np.float32)
        for i, keys in enumerate(entry.keys):
            parts = _write(entry.kind, value[i] if entry.stacked else value, entry.shape, len(keys))
            tensors |= dict(zip(keys, parts, strict=True))
    return tensors


def check(tensors: Mapping[str, Array], config: ClipConfig, layout: Layout, source: str) -> None:
    """Raises ValueError with all tensors that don't fit the architecture, if there are any."""
    wanted = {
        key: entry.shape for entry in entries(config, layout) for keys in entry.keys for key in keys
    }
    found = {key: value for key, value in tensors.items() if key not in NO_WEIGHTS[layout]}
    lines = parameters.differences({key: value.shape for key, value in found.items()}, wanted)
    lines += [
        f"wrong dtype: {key} is {value.dtype}, wanted a float"
        for key, value in found.items()
        if key in wanted and not _is_float(value.dtype)
    ]
    if lines:
        listed = "\n  ".join(lines)
        raise ValueError(
            f"{source}: {words.count(len(lines), 'tensor')} don't fit a CLIP of this "
            f"architecture:\n  {listed}"
        )


def _is_float(dtype: np.dtype) -> bool:
    return np.issubdtype(dtype, np.floating) or dtype == ml_dtypes.bfloat16


def _read(kind: Kind, tensors: list[np.ndarray]) -> np.ndarray:
    joined = tensors[0] if len(tensors) == 1 else np.concatenate(tensors)
    if kind is Kind.LINEAR:
        return joined.T
    return joined.transpose(2, 3, 1, 0) if kind is Kind.CONV else joined


def _write(kind: Kind, value: np.ndarray, shape: tuple[int, ...], count: int) -> list[np.ndarray]:
    joined: np.ndarray
    if kind is Kind.CONV:
        out, channels, rows, columns = shape
        joined = value.reshape(rows, columns, channels, out).transpose(3, 2, 0, 1)
    elif kind is Kind.LINEAR:
        joined = value.reshape(shape[1], count * shape[0]).T
    else:
        joined = value.reshape(count * shape[0], *shape[1:]) if shape else value
    parts = np.split(joined, count) if count > 1 else [joined]
    return [np.array(part, order="C") for part in parts]
