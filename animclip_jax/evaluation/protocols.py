"""Retrieval protocols by name: which videos and captions are searched, and what is counted."""

import dataclasses
from typing import Any

from animclip_jax.words import count


@dataclasses.dataclass(frozen=True)
class Protocol:
    """What numbers must have in common to be compared.

    splits: the splits of a prepared store (docs/data.md) that it allows, and what each is called;
    None allows any source. test: videos and captions of the whole test. num_frames: of a video,
    evenly spaced in time; None takes as many as the model does. groups_once: from video to text,
    a video's captions count once, by their best (as CLIP4Clip's code counts); else each of them.
    Every caption of the split is a query.
    """

    splits: dict[str, str] | None = None
    test: tuple[int, int] | None = None
    num_frames: int | None = None
    groups_once: bool = False


def _published(names: tuple[str, ...], videos: int, captions: int) -> Protocol:
    splits = {f"{name}{part}": part for name in names for part in ("test", "val")}
    return Protocol(splits, (videos, captions), num_frames=12, groups_once=True)


PROTOCOLS = {
    # JSFusion's 1,000 pairs; the two training lists have one test.
    "msrvtt-1k-a": _published(("1k-A-9k-", "1k-A-7k-"), 1000, 1000),
    "msrvtt-full": _published(("full-",), 2990, 59_800),
    "msvd": _published(("",), 670, 27_763),
    # HGR's test, and CLIP2Video's: different videos.
    "vatex-hgr": _published(("hgr-",), 1500, 15_000),
    "vatex-1k5": _published(("test1k5-",), 1500, 15_000),
    # mteb's own parts of three of these tests, with one caption a video (docs/mteb.md).
    "mteb-msrvtt-879": Protocol(test=(879, 879)),
    "mteb-msvd-660": Protocol(test=(660, 660)),
    "mteb-vatex-1k": Protocol(test=(1000, 1000)),
    "folder": Protocol(),
    "drawn": Protocol(),
}


def protocol_of(name: str, source: str) -> tuple[str, Protocol]:
    """The protocol of that name; "" takes `drawn` or `folder`, by the source.

    Raises:
      ValueError: there is no such protocol, or it does not search that source.
    """
    kind = source.partition(":")[0]
    name = name or ("drawn" if kind == "drawn" else "folder")
    if name not in PROTOCOLS:
        raise ValueError(f"no protocol {name!r}: choose one of {', '.join(PROTOCOLS)}")
    protocol = PROTOCOLS[name]
    if protocol.splits is not None and _split(source) not in protocol.splits:
        wanted = " or ".join(f"folder:STORE@split={split}" for split in protocol.splits)
        raise ValueError(f"protocol {name}: found the source {source!r}, wanted {wanted}")
    return name, protocol


def describe(
    name: str, source: str, *, num_videos: int, num_captions: int, missing: int, num_frames: int
) -> dict[str, Any]:
    """What results.json says of the protocol: `protocol` and `coverage` (docs/results.md).

    Args:
      missing: videos that the source should have and has not.
      num_frames: of a video, as the model takes them.

    Raises:
      ValueError: the model takes another number of frames, or the captions are not the protocol's.
    """
    name, protocol = protocol_of(name, source)
    split = _split(source) if protocol.splits is None else protocol.splits[_split(source)]
    if protocol.num_frames not in (None, num_frames):
        raise ValueError(
            f"protocol {name} takes {count(protocol.num_frames, 'frame')} of a video, this model "
            f"{num_frames}: evaluate it with --config.evaluation.protocol=folder"
        )
    wanted = num_videos + missing
    if split != "val" and protocol.test is not None:
        wanted, captions = protocol.test
        if num_videos > wanted:
            found = count(num_videos, "video")
            raise ValueError(f"protocol {name}: found {found} in {source!r}, wanted {wanted}")
        if num_videos == wanted and num_captions != captions:
            raise ValueError(
                f"protocol {name}: found {count(num_captions, 'caption')} of "
                f"{count(num_videos, 'video')} in {source!r}, wanted {captions}, "
                "each of them a query: prepare the store again"
            )
    described = {
        "name": name,
        "split": split,
        "captions": "all",
        "num_frames": num_frames,
        "video_to_text": "each video once" if protocol.groups_once else "each caption",
    }
    return {"protocol": described, "coverage": {"wanted": wanted, "found": num_videos}}


def _split(source: str) -> str:
    """What of the source is searched: NAME of folder:DIR@split=NAME or drawn:NAME, else all."""
    kind, _, location = source.partition(":")
    if kind == "drawn":
        return location
    condition = location.rpartition("@")[2] if "@" in location else ""
    if "=" not in condition:
        return "all"
    return condition.removeprefix("split=")
