"""Captions in one JSON document: COCO's, Karpathy's splits, or a list of objects."""

from __future__ import annotations

import json
import posixpath
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from animclip_jax import files
from input_pipeline.media.once import each_once
from input_pipeline.sources.captions_files.rows import Row

WANTED = (
    "COCO's captions (images and annotations), Karpathy's splits (images with sentences) or a list "
    "of objects as in captions.jsonl"
)


def read(file: BinaryIO, path: Path) -> Iterator[Row]:
    """A row for each caption or picture. The whole document is in memory until the last.

    Raises ValueError where it is not UTF-8, no JSON, or none of the three.
    """
    try:
        document = json.loads(files.as_text(file.read(), path), object_pairs_hook=each_once)
    except RecursionError:
        raise ValueError(f"{path}: not JSON: nested too deeply") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"{path}: not JSON ({error}), wanted {WANTED}") from None
    except ValueError as error:
        named = str(error).startswith(str(path))
        raise ValueError(str(error) if named else f"{path}: {error}") from None
    if isinstance(document, list):
        return _objects(document, path.name)
    found = document if isinstance(document, dict) else {}
    images, annotations = found.get("images"), found.get("annotations")
    if isinstance(images, list) and isinstance(annotations, list):
        return _coco(images, annotations, path.name)
    if isinstance(images, list) and "annotations" not in found:
        return _karpathy(images, path.name)
    names = ", ".join(map(repr, found)) or type(document).__name__
    raise ValueError(f"{path}: found {names:.200}, wanted {WANTED}")


def _objects(lines: list[Any], name: str) -> Iterator[Row]:
    for number, values in enumerate(lines):
        where = f"{name} [{number}]"
        if isinstance(values, dict):
            yield Row(where, values)
        else:
            yield Row(where, {}, f"found {values!r:.80}, wanted a JSON object")


def _coco(images: list[Any], annotations: list[Any], name: str) -> Iterator[Row]:
    """A row for each annotation: its caption, and the values of its image."""
    known: dict[Any, Row] = {}
    for number, image in enumerate(images):
        where = f"{name} images[{number}]"
        if not (isinstance(image, dict) and isinstance(image.get("id"), int | str)):
            yield Row(where, {}, f'found {image!r:.80}, wanted an object with "id" and "file_name"')
        elif image["id"] in known:
            first = known[image["id"]].where
            yield Row(where, {}, f"has the id {image['id']!r}, as {first} has")
        else:
            known[image["id"]] = Row(where, image)
    captioned: set[Any] = set()
    for number, annotation in enumerate(annotations):
        where = f"{name} annotations[{number}]"
        of = annotation.get("image_id") if isinstance(annotation, dict) else None
        if not isinstance(of, int | str) or of not in known:
            problem = f'found {annotation!r:.80}, wanted an object whose "image_id" is of an image'
            yield Row(where, {}, problem)
            continue
        captioned.add(of)
        said = {"caption": annotation["caption"]} if "caption" in annotation else {}
        yield Row(where, known[of].values | said)
    for of, row in known.items():
        if of not in captioned:
            yield Row(row.where, {}, f'no annotation has its id {of!r} as "image_id"')


def _karpathy(images: list[Any], name: str) -> Iterator[Row]:
    """A row for each image: "filename", below "filepath" where there is one, and "sentences"."""
    for number, image in enumerate(images):
        where = f"{name} images[{number}]"
        found = image if isinstance(image, dict) else {}
        file, sentences = found.get("filename"), found.get("sentences")
        if not (isinstance(file, str) and isinstance(sentences, list)):
            problem = f'found {image!r:.80}, wanted an object with "filename" and "sentences"'
            yield Row(where, {}, problem)
            continue
        captions = [one.get("raw") if isinstance(one, dict) else one for one in sentences]
        place = found.get("filepath") or ""
        path = posixpath.join(place, file) if isinstance(place, str) else file
        yield Row(where, found | {"image": path, "captions": captions})
