"""The files of a prepared TensorFlow Datasets set of captioned pictures."""

from __future__ import annotations

import os
from pathlib import Path

from etils import epath

from animclip_jax.files import read_object
from animclip_jax.words import count
from input_pipeline.tensorflow_on_cpu import tf


def files(location: str) -> list[str]:
    """The TFRecord files of `NAME[:SPLIT]` (train, unless told); NAME/CONFIG where it has several.

    They are looked for in TFDS_DATA_DIR, or ~/tensorflow_datasets; nothing is downloaded.

    Raises FileNotFoundError, at once, where the set is not prepared, with the command that does;
    ValueError for a split that it has not, or files of another format.
    """
    name, _, split = location.partition(":")
    data_dir = os.environ.get("TFDS_DATA_DIR", str(Path.home() / "tensorflow_datasets"))
    directory = _prepared(name, data_dir)
    info = read_object(
        epath.Path(directory) / "dataset_info.json",
        f"prepare tfds:{name} again",
        {"splits": list},
    )
    if info.get("fileFormat", "tfrecord") != "tfrecord":
        raise ValueError(
            f"tfds:{location}: prepared as {info['fileFormat']} in {directory}, wanted tfrecord, "
            "which TensorFlow reads at random"
        )
    splits = {found["name"]: found for found in info["splits"]}
    wanted = split or "train"
    if wanted not in splits:
        raise ValueError(f"tfds:{location}: no split {wanted!r}, it has {', '.join(splits)}")
    found = tf.io.gfile.glob(f"{directory}/*-{wanted}.tfrecord-*")
    lengths = splits[wanted].get("shardLengths", found)
    if not found or len(found) != len(lengths):
        raise FileNotFoundError(
            f"{directory}: {count(len(found), 'file')} of the split {wanted!r}, wanted "
            f"{len(lengths) or 1}"
        )
    return sorted(found)


def _prepared(name: str, data_dir: str) -> str:
    """The folder of the newest prepared version."""
    versions = tf.io.gfile.glob(f"{data_dir}/{name}/*/dataset_info.json")
    # A set with configs: NAME/CONFIG/VERSION.
    versions += tf.io.gfile.glob(f"{data_dir}/{name}/*/*/dataset_info.json")
    versions += tf.io.gfile.glob(f"{data_dir}/{name}/dataset_info.json")
    if not versions:
        raise FileNotFoundError(
            f"tfds:{name}: not prepared in {data_dir}; prepare it there by: "
            f"tfds build {name} --data_dir={data_dir} (TFDS_DATA_DIR names another folder)"
        )
    folders = {path.rpartition("/")[0] for path in versions}
    sets = {folder.rpartition("/")[0] for folder in folders}
    if len(sets) > 1:
        configs = ", ".join(sorted(found.removeprefix(f"{data_dir}/") for found in sets))
        raise ValueError(f"tfds:{name}: several configurations, name one of {configs}")
    return max(folders, key=lambda folder: _version(folder.rpartition("/")[2]))


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) if part.isdecimal() else -1 for part in text.split("."))
