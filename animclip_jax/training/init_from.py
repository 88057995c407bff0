"""`--config.init_from`: a run begins with the weights of another run, or of converted ones."""

import dataclasses
import tempfile
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from etils import epath
from flax import traverse_util

from animclip_jax.files import is_remote
from animclip_jax.models.clip import ClipConfig
from animclip_jax.models.reranker import start_from_text_tower
from animclip_jax.models.retriever import RetrieverConfig
from animclip_jax.runs import layout, run_config
from animclip_jax.training.checkpoint import read_params
from animclip_jax.weights import folder
from animclip_jax.words import count

Flat = dict[str, Any]
_TOWERS = "clip/"
# What may differ between the towers that are taken and those that are begun.
_FREE = ("logit_bias", "max_logit_scale")


def begin(
    params: dict, clip: ClipConfig, source: str, towers: str, shardings: Any
) -> tuple[dict, str]:
    """Parameters with those of `source` and of `towers` in place of their own.

    Args:
      source: folder of a run or of weights, or "". towers: the same, of which the towers alone are
        taken; those of `source` are then left there, so they may be of another family.

    Returns:
      as `take`, which raises, too.
    """
    reports, keeps = [], False
    if source:
        taken_from, drawn = epath.Path(source).expanduser(), params
        params, report = take(params, taken_from, shardings, None if towers else clip)
        keeps = _has_other_reranker(drawn, params)
        reports.append(report)
    if towers:
        taken_from = epath.Path(towers).expanduser()
        params, report = take(
            params, taken_from, shardings, clip, only=_TOWERS, keeps_reranker=keeps
        )
        reports.append(report)
    return params, "\n".join(reports)


def _has_other_reranker(params: dict, others: dict) -> bool:
    """Whether the second parameters have a re-ranker, or a part of one, that the first have not."""
    mine, theirs = (jax.tree.leaves(one.get("reranker", {})) for one in (params, others))
    return any(one is not other for one, other in zip(mine, theirs, strict=True))


def take(
    params: dict,
    source: epath.Path,
    shardings: Any,
    clip: ClipConfig | None,
    only: str = "",
    keeps_reranker: bool = False,
) -> tuple[dict, str]:
    """Parameters with those of the source in place of their own, where path and shape are equal.

    Where the source brings the text tower and no re-ranker, as converted weights do, a re-ranker of
    the tower's sizes begins as its last layers (`start_from_text_tower`).

    Args:
      params: freshly drawn, on their devices.
      source: the folder of a run (its best step is taken, else its newest checkpoint), or one that
        `animclip convert` wrote, which holds the two towers, or `animclip export`, which holds all.
      shardings: from a tree of shapes to where its arrays are to live.
      clip: what the towers compute; None leaves the source's where they are.
      only: parameters whose path begins so. keeps_reranker: whether the re-ranker stays what it is.

    Returns:
      the parameters, and a report of what was taken and what was not, for a person.

    Raises:
      FileNotFoundError: the folder is neither. ValueError: nothing of it fits, or its towers
        compute something else.
    """
    own = traverse_util.flatten_dict(params, sep="/")
    found, theirs = _read(source, shardings)
    if clip is not None:
        require_same_towers(source, theirs, clip)
    skipped = "" if clip is not None else _TOWERS
    found = {
        name: value
        for name, value in found.items()
        if name.startswith(only) and not (skipped and name.startswith(skipped))
    }
    taken = {name for name, value in own.items() if name in found and _fits(found[name], value)}
    if not taken:
        report = _report(source, own, found, taken, set())
        raise ValueError(f"none of its arrays fits this configuration's model\n{report}")
    for name in sorted(taken):
        own[name] = _place(found[name], own[name])
    brings_reranker = any(name.startswith("reranker/") for name in found)
    has_tower = all(name in taken for name in own if name.startswith("clip/text/transformer/"))
    begins = has_tower and not (brings_reranker or keeps_reranker)
    copied = _begin_reranker(own) if begins else set()
    report = _report(source, own, found, taken, copied)
    return traverse_util.unflatten_dict(own, sep="/"), report


def require(source: epath.Path) -> None:
    """Raises FileNotFoundError where there is nothing that `take` could read."""
    checkpoints, tensors = source / layout.CHECKPOINTS, source / folder.TENSORS
    if not _is_run(source) and not tensors.is_file():
        raise FileNotFoundError(
            f"init_from={source}: found neither {checkpoints} with a checkpoint nor {tensors}; "
            "wanted the folder of a run, or one written by animclip convert or animclip export"
        )


def require_same_towers(source: epath.PathLike, theirs: ClipConfig, clip: ClipConfig) -> None:
    """Raises ValueError where towers compute something else than those that are begun.

    Kernels of two families may have one shape: taken for each other they compute nonsense.
    """
    there, here = (
        run_config.flat({"activation": one.activation, "towers": dataclasses.asdict(one.towers)})
        for one in (theirs, clip)
    )
    differ = [
        f"model.{name}: there {there[name]!r}, here {here[name]!r}"
        for name in there
        if there[name] != here[name] and name.removeprefix("towers.") not in _FREE
    ]
    if differ:
        listed = "\n  ".join(differ)
        raise ValueError(
            f"{source}: its towers are not those of this configuration:\n  {listed}\nSet these "
            "values (--config.model...), or take towers from elsewhere: --config.init_towers_from"
        )


def _read(source: epath.Path, shardings: Any) -> tuple[Flat, ClipConfig]:
    """All parameters by name, and what the towers among them compute."""
    require(source)
    if not _is_run(source):
        found, config = _load(source)
        if isinstance(config, ClipConfig):
            return {_TOWERS + name: value for name, value in found.items()}, config
        return found, config.clip
    _, found = read_params(source, shardings)
    theirs = ClipConfig.from_dict(run_config.read(source)["model"])
    return traverse_util.flatten_dict(found, sep="/"), theirs


def _is_run(source: epath.Path) -> bool:
    return any((one / layout.CHECKPOINTS).is_dir() for one in (source, source / layout.BEST))


def _load(source: epath.Path) -> tuple[dict[str, np.ndarray], ClipConfig | RetrieverConfig]:
    """Our folder of weights, from a bucket by a copy: the tensors are read from a local file."""
    if not is_remote(source):
        return folder.load(Path(source))
    with tempfile.TemporaryDirectory() as copy:
        for path in source.iterdir():
            (Path(copy) / path.name).write_bytes(path.read_bytes())
        return folder.load(Path(copy))


def _fits(found: Any, own: Any) -> bool:
    return tuple(found.shape) == tuple(own.shape)


def _place(found: Any, own: jax.Array) -> jax.Array:
    """The values found, where this run's own are; each process brings its devices' part."""
    if isinstance(found, jax.Array):
        return jax.device_put(found.astype(own.dtype), own.sharding)
    found = found.astype(own.dtype)
    return jax.make_array_from_callback(own.shape, own.sharding, lambda part: found[part])


def _begin_reranker(own: Flat) -> set[str]:
    """Copies what fits of the text tower's last layers into the re-ranker; the names of that."""
    nested = start_from_text_tower(traverse_util.unflatten_dict(own, sep="/"))
    begun = traverse_util.flatten_dict(nested, sep="/")
    copied = {name for name in own if begun[name] is not own[name]}
    # All layers of a tower are the tower's own array, and a step donates each array once.
    own |= {name: _place(jnp.copy(begun[name]), own[name]) for name in sorted(copied)}
    return copied


def _report(source: epath.Path, own: Flat, found: Flat, taken: set[str], copied: set[str]) -> str:
    size, whole = (sum(own[name].size for name in names) / 1e6 for names in (taken, own))
    lines = [
        f"init_from={source}: took {len(taken)} of {count(len(own), 'array')}, "
        f"{size:.2f} of {whole:.2f} million parameters"
    ]
    for name in sorted(copied):
        lines.append(f"  from the text tower: {name} {tuple(own[name].shape)}")
    for name in sorted(own.keys() - taken - copied):
        there = f"{tuple(found[name].shape)} there" if name in found else "not there"
        lines.append(f"  starts fresh: {name} {tuple(own[name].shape)}, {there}")
    for name in sorted(found.keys() - own.keys()):
        lines.append(f"  not used: {name} {tuple(found[name].shape)}")
    return "\n".join(lines)
