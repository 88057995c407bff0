"""`animclip prepare SOURCE --out STORE`: decodes videos, and shrinks pictures, once and for all.

`animclip prepare --bake N --config=FILE --out DIR` makes whole batches instead (see bake.py).
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from input_pipeline import folder, prepare, prepared, store
from input_pipeline.video_sets.collect import SETS, collect
from input_pipeline.workers import Limits

KINDS = ("folder", *SETS)
PICTURE_KINDS = ("tfrecord", "webdataset", "tfds")


def main(argv: list[str] | None = None) -> int:
    """Returns 0, 1 after saying on stderr what is wrong, or 130 after Ctrl-C."""
    arguments = sys.argv[1:] if argv is None else argv
    if any(argument.split("=")[0] in ("--bake", "-bake") for argument in arguments):
        from animclip_jax import bake

        return bake.main(argv)
    options = _parser().parse_args(argv)
    out = Path(options.out).expanduser()
    try:
        if _holds_pictures(options.source):
            summary = _prepare_pictures(options, out)
            print(_report(out, summary, "pictures"))
            return 0
        short_side = prepare.SHORT_SIDE if options.short_side is None else options.short_side
        settings = prepare.FrameSettings(options.num_frames, short_side, options.quality)
        effort = _effort(options)
        summary = prepare.prepare_videos(
            read_source(options.source, options.split), out, settings, effort
        )
    except (OSError, ValueError, RuntimeError) as error:
        print(f"animclip prepare: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("animclip prepare: stopped; the same command goes on from there", file=sys.stderr)
        return 130
    print(_report(out, summary, "videos"))
    return 0


def _holds_pictures(source: str) -> bool:
    kind, _, location = source.partition(":")
    if kind in PICTURE_KINDS:
        return True
    return kind == "folder" and bool(location) and not folder.read_listing(location).is_video


def _prepare_pictures(options: argparse.Namespace, out: Path) -> dict:
    from input_pipeline.prepare_pictures import SHORT_SIDE, prepare_pictures
    from input_pipeline.sources import open_source

    if options.split:
        raise ValueError(f"{options.source}: pictures have no splits; choose by the source itself")
    examples = open_source(options.source, options.cache_dir)
    short_side = SHORT_SIDE if options.short_side is None else options.short_side
    return prepare_pictures(examples, out, short_side, options.quality)


def read_source(source: str, splits: list[str]) -> prepare.Collection:
    """What `folder:DIR`, `msrvtt:DIR`, `msvd:DIR` or `vatex:DIR` names.

    Raises FileNotFoundError or ValueError saying what is wrong where.
    """
    kind, colon, location = source.partition(":")
    if not colon or not location or kind not in KINDS:
        kinds = ", ".join(f"{kind}:DIR" for kind in KINDS)
        raise ValueError(f"source {source!r}: can't be prepared, wanted one of {kinds}")
    if kind != "folder":
        return collect(kind, location, splits)
    if splits:
        raise ValueError(f"{source}: a folder has no splits; prepare all of it, choose later")
    listing = folder.read_listing(location)
    if len(listing.selected) < len(listing.items):
        raise ValueError(f"{source}: prepare all of {listing.directory}, choose by @ later")
    return folder.video_collection(listing)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="animclip prepare", description=__doc__)
    parser.add_argument(
        "source",
        help="folder:DIR, msrvtt:DIR, msvd:DIR, vatex:DIR, or pictures as training names them",
    )
    parser.add_argument("--out", required=True, help="the directory to write, a source afterwards")
    parser.add_argument(
        "--split",
        action="append",
        default=[],
        help="of a video set, one of its splits or protocols (again for more); all without it",
    )
    frames = prepare.FrameSettings()
    parser.add_argument("--num_frames", type=int, default=frames.num_frames, help="of each video")
    parser.add_argument(
        "--short_side", type=int, default=None, help="in pixels; 256 of videos, 320 of pictures"
    )
    parser.add_argument(
        "--cache_dir", default="~/.cache/animclip", help="where pictures are indexed or checked"
    )
    parser.add_argument("--quality", type=int, default=frames.quality, help="of the JPEGs")
    effort, limits = prepare.Effort(), Limits()
    parser.add_argument("--processes", type=int, default=None, help="all cores without it")
    parser.add_argument(
        "--max_bad", type=float, default=effort.max_bad, help="share of videos that may be bad"
    )
    parser.add_argument(
        "--time_limit", type=float, default=limits.seconds, help="seconds for a video"
    )
    parser.add_argument(
        "--memory_limit", type=float, default=limits.gibibytes, help="GiB for a video"
    )
    return parser


def _effort(options: argparse.Namespace) -> prepare.Effort:
    for name in ("processes", "time_limit", "memory_limit"):
        value = getattr(options, name)
        if value is not None and not value > 0:
            raise ValueError(f"--{name}={value}: wanted more than 0")
    if not 0 <= options.max_bad <= 1:
        raise ValueError(f"--max_bad={options.max_bad}: wanted a share, 0 to 1")
    limits = Limits(options.time_limit, options.memory_limit)
    return prepare.Effort(options.processes, limits, options.max_bad)


def _report(out: Path, summary: dict, what: str) -> str:
    lines = [f"{out}: {summary['num_items']} {what} of {summary['source']}"]
    if summary["num_quarantined"]:
        path = out / prepare.QUARANTINE
        lines.append(f"{summary['num_quarantined']} can't be used, listed in {path}")
    names = prepared.split_names(out)
    if names:
        index = store.read_index(out)
        lines += [f"  {prepared.coverage(out, name, index)}" for name in names]
        lines.append(f"a split is a source: folder:{out}@split={names[0]}")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
