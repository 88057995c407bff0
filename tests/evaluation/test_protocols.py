"""Protocols: which source they search, what they check, what results.json says of them."""

import pytest

from animclip_jax.evaluation.comparison import refuse_unlike
from animclip_jax.evaluation.protocols import PROTOCOLS, describe, protocol_of

NINE = "folder:/store@split=1k-A-9k-test"


def described(name="msrvtt-1k-a", source=NINE, **changes):
    sizes = {"num_videos": 1000, "num_captions": 1000, "missing": 0, "num_frames": 12}
    return describe(name, source, **sizes | changes)


def test_a_published_protocol():
    found = described()
    assert found["protocol"] == {
        "name": "msrvtt-1k-a",
        "split": "test",
        "captions": "all",
        "num_frames": 12,
        "video_to_text": "each video once",
    }
    assert found["coverage"] == {"wanted": 1000, "found": 1000}
    # The two training lists have one test.
    assert described(source="folder:/other@split=1k-A-7k-test") == found
    val = described(source="folder:/s@split=1k-A-9k-val", num_videos=490, missing=7)
    assert val["protocol"]["split"] == "val" and val["coverage"] == {"wanted": 497, "found": 490}


@pytest.mark.parametrize(
    ("name", "size"), [("mteb-msrvtt-879", 879), ("mteb-msvd-660", 660), ("mteb-vatex-1k", 1000)]
)
@pytest.mark.parametrize("source", ["folder:/mteb", "folder:/mteb@split=test"])
def test_mtebs_tests_have_protocols_of_their_own(name, size, source):
    sizes = {"num_videos": size, "num_captions": size}
    found = described(name, source, **sizes)
    assert found["protocol"]["name"] == name
    assert found["coverage"] == {"wanted": size, "found": size}
    part = described(name, source, **sizes | {"num_videos": size - 9, "num_captions": size - 9})
    assert part["coverage"] == {"wanted": size, "found": size - 9}
    with pytest.raises(ValueError, match=f"{name}: found 5,000 captions of {size:,} videos"):
        described(name, source, **sizes | {"num_captions": 5000})
    with pytest.raises(ValueError, match=f"{name}: found 2,990 videos in .*, wanted {size}"):
        described(name, source, num_videos=2990, num_captions=2990)
    common = {"normalization": "none", "queries": "the same"}
    theirs = described("folder", source, **sizes)["protocol"]
    with pytest.raises(ValueError, match=f"protocol's name is 'folder', here it is '{name}'"):
        refuse_unlike({"protocol": found["protocol"]} | common, {"protocol": theirs} | common, "x")


def test_without_a_name_the_source_decides():
    assert protocol_of("", "drawn:test:40")[0] == "drawn"
    assert protocol_of("", NINE)[0] == "folder"
    folder = describe("", NINE, num_videos=3, num_captions=7, missing=1, num_frames=4)
    assert folder["protocol"]["split"] == "1k-A-9k-test"
    assert folder["protocol"]["video_to_text"] == "each caption"
    assert folder["coverage"] == {"wanted": 4, "found": 3}
    for source, split in (
        ("drawn:test:40", "test:40"),
        ("folder:/a@pool=true", "pool=true"),
        ("folder:/a", "all"),
        ("folder:/a@b", "all"),
    ):
        found = describe("", source, num_videos=1, num_captions=1, missing=0, num_frames=4)
        assert found["protocol"]["split"] == split


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "msrvtt"}, "no protocol 'msrvtt': choose one of msrvtt-1k-a, msrvtt-full"),
        ({"source": "folder:/s@split=full-test"}, "wanted folder:STORE@split=1k-A-9k-test or"),
        ({"name": "vatex-hgr", "source": "folder:/s@split=test1k5-test"}, "split=hgr-test"),
        ({"name": "vatex-1k5", "source": "folder:/s@split=hgr-test"}, "split=test1k5-test"),
        ({"num_frames": 4}, "takes 12 frames of a video, this model 4: evaluate it with"),
        (
            {"name": "msvd", "source": "folder:/s@split=test", "num_videos": 670}
            | {"num_captions": 670},
            "found 670 captions of 670 videos .*, wanted 27763, each of them a query",
        ),
    ],
)
def test_what_a_protocol_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        described(**arguments)


def test_a_part_of_the_videos_has_a_part_of_the_captions():
    found = described("msvd", "folder:/s@split=test", num_videos=600, num_captions=25_000)
    assert found["coverage"] == {"wanted": 670, "found": 600}


def test_the_published_sizes_are_those_of_the_stores():
    """docs/data.md counts them in the real files."""
    wanted = {
        "msrvtt-1k-a": (1000, 1000),
        "msrvtt-full": (2990, 59_800),
        "msvd": (670, 27_763),
        "vatex-hgr": (1500, 15_000),
        "vatex-1k5": (1500, 15_000),
    }
    assert {name: one.test for name, one in PROTOCOLS.items() if one.splits} == wanted
