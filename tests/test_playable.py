"""What the page takes for playable is what was measured, as docs/search.md tells it."""

import re
from pathlib import Path

import pytest

from animclip_jax.serving.playable import CODECS, CONTAINERS, plays

DOCUMENT = Path(__file__).resolve().parents[1] / "docs" / "search.md"


def measured() -> list[tuple[str, str, bool]]:
    """Suffix, codec and whether it plays, from the table."""
    found = []
    for line in DOCUMENT.read_text().splitlines():
        if match := re.fullmatch(r"\| ([.]\w+) \| (.*) \| (.*) \|", line):
            for codecs, outcome in ((match[2], True), (match[3], False)):
                found += [(match[1], codec, outcome) for codec in codecs.split(", ") if codec]
    return found


@pytest.mark.parametrize("suffix, codec, outcome", measured())
def test_the_page_says_what_was_measured(suffix, codec, outcome):
    assert plays(f"folder.mp4/A{suffix.upper()}", codec.split()[0]) is outcome


def test_every_container_and_codec_was_measured():
    played = [(suffix, codec) for suffix, codec, outcome in measured() if outcome]
    assert {suffix for suffix, _ in played} == CONTAINERS
    assert {codec.split()[0] for _, codec in played} == CODECS
    assert plays("a.mp4", ""), "in an index that was made before codecs were kept"
    assert not plays("a.avi", "")
