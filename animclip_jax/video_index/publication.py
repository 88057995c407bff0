"""What a published index says of itself: documents of an engine, one a video and one about all.

Document 0 is about the whole. That of a video has the number of its first segment's key, and 1; it
is written after the video's segments and removed before them, so whoever reads it finds them. Keys
are never used again.
"""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import asdict, dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from animclip_jax.engines.engine import Engine, EngineError
from animclip_jax.engines.place import Place
from animclip_jax.video_index import catalogue as catalogues
from animclip_jax.video_index.catalogue import Catalogue, Video

FORMAT, VERSION = "animclip-published", 1
ABOUT = 0
# Videos of a publication name no shard. A catalogue's name of one is eight digits.
_SHARD = "00000000"
ADVICE = "remove it and publish again with animclip index --to"


@dataclass
class About:
    """Document 0. catalogue: without videos. code: shape [M, C] of a segment's, () without codes.

    next: the key of the next segment. state: when the last publication ended, in ns since 1970.
    pending: whether another one began, which may have been cut short.
    """

    catalogue: Catalogue
    code: tuple[int, ...]
    next: int = 0
    state: int = 0
    pending: bool = False

    def written(self) -> str:
        document = {"format": FORMAT, "version": VERSION, "code": self.code, "next": self.next}
        catalogue = asdict(replace(self.catalogue, videos={}))
        ends = {"state": self.state, "pending": self.pending, "catalogue": catalogue}
        return json.dumps(document | ends)


class Published(NamedTuple):
    """A video's document. video: `first` is the key of its first segment.

    digest: of all that it says and of its segments. times float64 [S, 2]: their start and end.
    speaks: whether its subtitles say anything.
    """

    name: str
    video: Video
    digest: str
    times: np.ndarray
    speaks: bool

    @property
    def number(self) -> int:
        return self.video.first + 1

    @property
    def keys(self) -> tuple[int, int]:
        """From the first of its segments to before this."""
        return self.video.first, self.video.first + self.video.segments

    def written(self) -> str:
        times = base64.b64encode(np.ascontiguousarray(self.times, np.float64).tobytes())
        video = list(self.video._replace(shard=_SHARD))
        return json.dumps([self.name, video, self.digest, times.decode("ascii"), self.speaks])


def digest_of(video: Video, *arrays: np.ndarray, said: list[str]) -> str:
    """A checksum of a video and its segments, wherever these lie."""
    found = hashlib.sha256(json.dumps([*video._replace(shard="", first=0), said]).encode())
    for array in arrays:
        found.update(np.ascontiguousarray(array).data)
    return found.hexdigest()


def about_of(engine: Engine) -> About | None:
    """Document 0 of an engine as it is now; None where nothing is published.

    Raises EngineError where it is of another version, or damaged.
    """
    text = engine.document(ABOUT)
    return None if text is None else _about(text, engine.place)


def read(engine: Engine, alone: bool = False) -> tuple[About, dict[str, Published]] | None:
    """All documents of an engine, videos by name; None where nothing is published.

    Of two documents of one video the later counts: a changed video has two for a server that gives
    its documents bit by bit, if it is published between.

    Args:
      alone: whether nobody publishes meanwhile; then two documents of one video are damage.

    Raises EngineError where they are of another version, or damaged.
    """
    documents = engine.documents()
    if ABOUT not in documents:
        return None
    about = _about(documents.pop(ABOUT), engine.place)
    try:
        by_number = [text for _, text in sorted(documents.items())]
        found = {document[0]: document for document in map(json.loads, by_number)}
        if alone and len(found) < len(documents):
            raise ValueError("two documents of one video")
        plain = asdict(about.catalogue) | {"videos": {name: one[1] for name, one in found.items()}}
        about.catalogue = catalogues.parsed(plain, engine.place, ADVICE)
        videos = {
            name: Published(name, video, *_rest(video, *found[name][2:]))
            for name, video in about.catalogue.videos.items()
        }
    except (ValueError, KeyError, IndexError, TypeError) as error:
        raise EngineError(
            f"{engine.place}: its documents are damaged: {error}; {ADVICE}"
        ) from error
    return about, videos


def _rest(video: Video, digest: str, times: str, speaks: bool) -> tuple[str, np.ndarray, bool]:
    spans = np.frombuffer(base64.b64decode(times), np.float64).reshape(video.segments, 2)
    return digest, spans, speaks


def _about(text: str, place: Place) -> About:
    try:
        document: dict[str, Any] = json.loads(text)
        found = document["format"], document["version"]
        if found != (FORMAT, VERSION):
            raise ValueError(f"found {found[0]} {found[1]}, wanted {FORMAT} {VERSION}")
        catalogue = catalogues.parsed(document["catalogue"], place, ADVICE)
        numbers = document["code"], document["next"], document["state"]
        if not all(type(one) is int for one in (*numbers[0], *numbers[1:])):
            raise ValueError(f"wanted whole numbers, found {numbers}")
        pending = document.get("pending", False) is True  # older publications do not say
        return About(catalogue, tuple(document["code"]), *numbers[1:], pending)
    except (ValueError, KeyError, TypeError) as error:
        raise EngineError(
            f"{place}: not a published index of this version: {error}; {ADVICE}"
        ) from error
