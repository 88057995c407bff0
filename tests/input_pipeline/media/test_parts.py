"""Parts of a job: every file is in one of them, and what is no part is told."""

import pytest

from input_pipeline.media import parts
from input_pipeline.media.parts import Part


def test_every_file_is_in_one_part_and_parts_are_even():
    names = [f"folder/film {n}.mp4" for n in range(3000)]
    counts = [sum(map(Part(number, 3).holds, names)) for number in (1, 2, 3)]
    assert sum(counts) == len(names)
    assert all(sum(Part(number, 3).holds(name) for number in (1, 2, 3)) == 1 for name in names)
    assert max(counts) < 1.1 * min(counts)
    assert sum(Part(n, 2).holds("not utf-8: \udce9") for n in (1, 2)) == 1


@pytest.mark.parametrize("text", ["0/3", "4/3", "1", "1/0", "a/b", "1/2/3", "-1/3", ""])
def test_what_is_no_part_is_told(text):
    with pytest.raises(ValueError, match="wanted I/N"):
        parts.parse(text)
    assert parts.parse("3/8") == Part(3, 8)


def test_a_part_that_is_missing_or_too_much_is_named(tmp_path):
    out = tmp_path / "out"
    for number in (1, 3):
        Part(number, 3).place(out).mkdir()
    with pytest.raises(FileNotFoundError, match=r"part-2-of-3: missing .* --part=2/3"):
        parts.all_of(3, out)
    Part(2, 3).place(out).mkdir()
    assert parts.all_of(3, out) == [Part(1, 3), Part(2, 3), Part(3, 3)]
    with pytest.raises(ValueError, match="part-1-of-3: not one of 2 parts"):
        parts.all_of(2, out)
