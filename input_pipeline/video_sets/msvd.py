"""MSVD: 1,970 videos with about 41 captions each; 1,200 to train, 100 to validate, 670 to test.

Annotation files: train_list.txt, val_list.txt, test_list.txt, and raw-captions.pkl (captions as
lists of words) or captions_msvd.json. Every caption of a test video is a query of its own.
"""

from __future__ import annotations

from input_pipeline.video_sets.download import Download

PICKLE, JSON = "raw-captions.pkl", "captions_msvd.json"


def read(download: Download) -> dict[str, dict[str, list[str]]]:
    """The captions of each video of train, val and test.

    Raises FileNotFoundError or ValueError naming the file that is missing or wrong.
    """
    name = JSON if download.has(JSON) and not download.has(PICKLE) else PICKLE
    captions = _texts(download.pickle(name) if name == PICKLE else download.json(name))
    if captions is None:
        raise ValueError(
            f"{download.path(name)}: wanted the captions of each video by its id, each a text or a "
            "list of words"
        )
    return {
        part: {id: captions.get(id, []) for id in download.lines(f"{part}_list.txt")}
        for part in ("train", "val", "test")
    }


def _texts(content: object) -> dict[str, list[str]] | None:
    """{id: [caption]} of {id: [caption or its words]}, None of anything else."""
    if not isinstance(content, dict):
        return None
    texts: dict[str, list[str]] = {}
    for id, captions in content.items():
        if not isinstance(id, str) or not isinstance(captions, list | tuple):
            return None
        joined = [" ".join(c) if _is_words(c) else c for c in captions]
        if not all(isinstance(caption, str) for caption in joined):
            return None
        texts[id] = joined
    return texts


def _is_words(caption: object) -> bool:
    return isinstance(caption, list | tuple) and all(isinstance(word, str) for word in caption)
