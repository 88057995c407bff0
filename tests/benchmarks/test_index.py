"""benchmarks.index: the peer is given the segments that the index has."""

import sys
from pathlib import Path

import pytest

from animclip_jax.video_index.reader import Index
from benchmarks import index


def test_the_peer_looks_at_every_segment_of_the_index(indexed):
    segments = index.segments_of(indexed)
    assert sum(map(len, segments.values())) == len(Index(indexed))
    assert all(Path(name).is_file() for name in segments)
    assert all(start < end for times in segments.values() for start, end in times)


def test_a_command_that_fails_is_named_with_its_last_words():
    with pytest.raises(RuntimeError, match=r"-c .*: exit status 3\nno torchvision"):
        index.timed(
            [
                sys.executable,
                "-c",
                "import sys; print('no torchvision', file=sys.stderr); sys.exit(3)",
            ]
        )
