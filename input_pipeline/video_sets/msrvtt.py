"""MSR-VTT: 10,000 videos with 20 captions each, by its three retrieval protocols.

Annotation files: MSRVTT_data.json, or the release's train_val_videodatainfo.json and
test_videodatainfo.json; for 1k-A also MSRVTT_JSFUSION_test.csv (the 1,000 pairs of video and
caption of the test) and MSRVTT_train.9k.csv or MSRVTT_train.7k.csv.

Neither 1k-A protocol has a validation split. Ours is the release's own of 497 videos, which both
train on: 1k-A-9k-train is the 9,000 without them, 1k-A-9k-trainval the published 9,000.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from input_pipeline.video_sets.download import Download

DATA, RELEASE = "MSRVTT_data.json", ("train_val_videodatainfo.json", "test_videodatainfo.json")
PAIRS = "MSRVTT_JSFUSION_test.csv"
TRAIN = {"1k-A-9k": "MSRVTT_train.9k.csv", "1k-A-7k": "MSRVTT_train.7k.csv"}
# The release's names of its splits, and ours.
PARTS = {"train": "train", "validate": "val", "test": "test"}


def read(download: Download) -> dict[str, dict[str, list[str]]]:
    """The captions of each video of each split: full-train, full-val, full-test, 1k-A-9k-train ...

    A protocol whose files are not there is left out. Raises FileNotFoundError or ValueError naming
    the file that is missing or wrong.
    """
    captions: dict[str, list[str]] = {}
    splits: dict[str, dict[str, list[str]]] = {f"full-{part}": {} for part in PARTS.values()}
    for name in (DATA,) if download.has(DATA) else RELEASE:
        where = download.path(name)
        try:
            content = download.json(name)
            for sentence in content["sentences"]:
                id, caption = sentence["video_id"], sentence["caption"]
                if not isinstance(id, str) or not isinstance(caption, str):
                    found = f"{id!r:.40}: {caption!r:.40}"
                    raise ValueError(f"{where}: found the caption {found}, wanted texts")
                captions.setdefault(id, []).append(caption)
            for video in content["videos"]:
                id, part = video["video_id"], video["split"]
                if part not in PARTS:
                    wanted = ", ".join(PARTS)
                    raise ValueError(f"{where}: found the split {part!r:.40}, wanted {wanted}")
                splits[f"full-{PARTS[part]}"][id] = captions.setdefault(id, [])
        except KeyError as error:
            raise ValueError(f"{where}: not a file of MSR-VTT: {error} is missing") from error
        except TypeError as error:
            wanted = "wanted an object with lists of sentences and videos"
            raise ValueError(f"{where}: not a file of MSR-VTT, {wanted}") from error
    if download.has(PAIRS):
        rows: list[dict[str, Any]] = download.rows(PAIRS, "video_id", "sentence")
        pairs: dict[str, list[str]] = {}
        for row in rows:  # A video may have several captions, each a row.
            pairs.setdefault(row["video_id"], []).append(row["sentence"])
        for protocol, file in TRAIN.items():
            if download.has(file):
                listed = [row["video_id"] for row in download.rows(file, "video_id")]
                _check_known(listed, captions, str(download.path(file)))
                val = splits["full-val"]
                splits |= {
                    f"{protocol}-train": {id: captions[id] for id in listed if id not in val},
                    f"{protocol}-val": {id: captions[id] for id in listed if id in val},
                    f"{protocol}-trainval": {id: captions[id] for id in listed},
                    f"{protocol}-test": pairs,
                }
    return splits


def _check_known(ids: Iterable[str], captions: dict[str, list[str]], where: str) -> None:
    unknown = [id for id in ids if id not in captions]
    if unknown:
        raise ValueError(f"{where}: {unknown[0]!r} and {len(unknown) - 1} more have no captions")
