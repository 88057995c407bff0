"""How much work listing a folder is."""

import os
from pathlib import Path
from typing import Any

import pytest

from animclip_jax.video_index import listing


class Name(str):
    """A name that counts how often it is compared with another."""

    __slots__ = ()
    compared = 0

    def __eq__(self, other: object) -> bool:
        Name.compared += 1
        return str.__eq__(self, other)

    __hash__ = str.__hash__


def test_a_large_folder_takes_no_longer_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(300):
        (tmp_path / f"{number}.mp4").touch()
        (tmp_path / f"{number}.jpg").touch()
    walk = os.walk

    def counted(*given: Any, **named: Any) -> Any:
        for folder, below, names in walk(*given, **named):
            yield folder, below, [Name(name) for name in names]

    monkeypatch.setattr(listing.os, "walk", counted)
    found = listing.list_videos(tmp_path, tmp_path / "index")
    assert len(found.videos) == 600
    assert Name.compared <= 10 * 600
