"""What can be prepared, by its name: folders, video sets and collections of pictures."""

from input_pipeline.sources import folder
from input_pipeline.store import videos
from input_pipeline.video_sets.collect import SETS, collect

KINDS = ("folder", *SETS)
PICTURE_KINDS = ("tfrecord", "webdataset", "tfds")


def read_source(source: str, splits: list[str]) -> videos.Collection:
    """The videos that `folder:DIR`, `msrvtt:DIR`, `msvd:DIR` or `vatex:DIR` names.

    Raises FileNotFoundError or ValueError saying what is wrong where.
    """
    kind, colon, location = source.partition(":")
    if not colon or not location or kind not in KINDS:
        kinds = ", ".join(
            [f"{kind}:DIR" for kind in KINDS] + [f"{kind}:..." for kind in PICTURE_KINDS]
        )
        raise ValueError(f"source {source!r}: can't be prepared, wanted one of {kinds}")
    if kind != "folder":
        return collect(kind, location, splits)
    if splits:
        raise ValueError(f"{source}: a folder has no splits; prepare all of it, choose later")
    listing = folder.read_listing(location)
    if len(listing.selected) < len(listing.items):
        raise ValueError(f"{source}: prepare all of {listing.directory}, choose by @ later")
    return folder.video_collection(listing)


def holds_pictures(source: str) -> bool:
    """Whether a source is of pictures; a folder is looked into."""
    kind, _, location = source.partition(":")
    if kind in PICTURE_KINDS:
        return True
    return kind == "folder" and bool(location) and not folder.read_listing(location).is_video
