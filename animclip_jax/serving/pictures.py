"""Pictures that people searched with: kept small, so that a search by one has an address."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from typing import NamedTuple

import numpy as np

# 30 KB each.
MOST = 1000


class Kept(NamedTuple):
    """A picture's embedding float32 [E], and itself as a small JPEG."""

    embedding: np.ndarray
    thumbnail: bytes


class Pictures:
    """The last MOST pictures, by a checksum of what was sent, in memory until the server ends."""

    def __init__(self, most: int = MOST):
        self.most = most
        self.kept: OrderedDict[str, Kept] = OrderedDict()

    def keep(self, data: bytes, kept: Kept) -> str:
        """Keeps one, and forgets the one that was asked for longest ago; gives its id."""
        id = hashlib.sha256(data).hexdigest()[:32]
        self.kept[id] = kept
        self.kept.move_to_end(id)
        if len(self.kept) > self.most:
            self.kept.popitem(last=False)
        return id

    def find(self, id: str) -> Kept | None:
        """The picture of that id; None where it was forgotten, or never sent."""
        found = self.kept.get(id)
        if found is not None:
            self.kept.move_to_end(id)
        return found
