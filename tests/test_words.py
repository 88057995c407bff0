"""Words in what commands print, and where they are printed."""

import ast
import codecs
import io
import itertools
import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from animclip_jax import files, search
from animclip_jax.cli.signals import stoppable
from animclip_jax.process import has_tpu
from animclip_jax.video_index import summary
from animclip_jax.video_index.listing import Listing
from animclip_jax.video_index.ranking import Hit
from animclip_jax.words import count, holdings, on_a_terminal
from input_pipeline.media import quarantine
from input_pipeline.sources import folder
from input_pipeline.sources.captions_files import choosing
from tests.repository import ROOT


def test_one_thing_is_not_many() -> None:
    assert [count(n, "file") for n in (0, 1, 2)] == ["0 files", "1 file", "2 files"]
    assert count(1200, "video") == "1,200 videos"
    assert [count(n, "query") for n in (1, 2)] == ["1 query", "2 queries"]
    assert [count(n, "caption batch") for n in (1, 2)] == ["1 caption batch", "2 caption batches"]


# A number in braces and, behind it, things that are counted.
COUNTED = re.compile(
    r" (?:[a-z-]+ )?(?:array|arm|batche|candidate|caption|clip|device|example|file|frame|line|loop"
    r"|number|parameter|photo|picture|process|querie|rank|row|segment|shard|step|tensor|token|video"
    r")s\b(?! a second)"
)


def counted_by_hand(tree: ast.AST) -> list[str]:
    """Numbers in a file's f-strings that stand before a plural, whatever the number is.

    Constants are never one, and "3.2 million" or "1.0" is no count.
    """
    return [
        ast.unparse(number)
        for text in ast.walk(tree)
        if isinstance(text, ast.JoinedStr)
        for number, behind in itertools.pairwise(text.values)
        if isinstance(number, ast.FormattedValue) and isinstance(behind, ast.Constant)
        if COUNTED.match(str(behind.value)) and not re.fullmatch(r"[A-Z_.]+", name_of(number))
        if not (number.format_spec and "f" in ast.unparse(number.format_spec)[2:])
    ]


def name_of(number: ast.FormattedValue) -> str:
    return ast.unparse(number.value).rsplit(".", 1)[-1]


def test_whatever_is_counted_may_be_one() -> None:
    rooms = ("animclip_jax", "input_pipeline", "configs")
    paths = [path for room in rooms for path in (ROOT / room).rglob("*.py")]
    assert len(paths) > 150
    found = {path.relative_to(ROOT): counted_by_hand(ast.parse(path.read_text())) for path in paths}
    assert {str(path): texts for path, texts in found.items() if texts} == {}


@pytest.mark.parametrize("text", ["{n} files", "{len(x):,} caption tokens", "{a} of {b} queries"])
def test_finds_a_count_that_is_always_many(text: str) -> None:
    assert counted_by_hand(ast.parse(f'f"{text}"'))
    assert not counted_by_hand(ast.parse('f"{N} files {n:.1f} steps {n} file"'))


def test_a_terminal_that_can_not_show_a_letter_ends_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    printed = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(printed, encoding="ascii"))

    @stoppable("animclip x")
    def main(argv: list[str] | None = None) -> int:
        print("caf\u00e9 \udce9")
        return 0

    assert main([]) == 0
    assert printed.getvalue() == b"caf\\xe9 \\udce9\n"


def test_control_characters_of_a_file_name_do_not_reach_the_terminal() -> None:
    assert on_a_terminal("a\x1b[31mred\n.mp4") == "a\\x1b[31mred\\n.mp4"
    assert on_a_terminal("caf\u00e9 \u2028.mp4") == "caf\u00e9 \\u2028.mp4"


def test_names_of_files_can_not_steer_the_terminal_from_any_list(tmp_path, capsys) -> None:
    """What is found, what is left alone and what is bad: the names are those of other people."""
    name = "a\x1b]0;gone\x07.mp4"
    hit = Hit(0, 0.5, 1, None, 1)
    searched: Any = SimpleNamespace(names=[name], times=[(0.0, 1.0)], photo=[False])
    found = search.table([hit], searched)
    left = Listing(left={name: "a link to itself"})
    done = summary.report(tmp_path, summary.Summary(0, 0, 0, 0, 0, {}, 1, 0, 1, left))
    quarantine.report("set", {name: "cut"}, 9, tmp_path, "")
    told = capsys.readouterr().err
    with pytest.raises(ValueError, match="can't be used") as raised:
        quarantine.check_share("set", {"a": f"no file {name}"}, 1, 0.5)
    for text in (found, done, told, str(raised.value)):
        assert "a\\x1b]0;gone\\x07.mp4" in text
        assert all(letter.isprintable() or letter == "\n" for letter in text)


def test_without_a_tpu_libtpu_is_told_not_to_look_for_one(tmp_path: Path) -> None:
    assert not has_tpu(tmp_path)
    (tmp_path / "0000:00:04.0").mkdir()
    (tmp_path / "0000:00:04.0" / "vendor").write_text("0x1ae0\n")
    assert has_tpu(tmp_path)
    if has_tpu():
        pytest.skip("there is a TPU here")
    code = "import os, animclip_jax; print(os.environ['TPU_ACCELERATOR_TYPE'])"
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TPU_")}
    run = subprocess.run(
        [sys.executable, "-c", code], env=kept, cwd=ROOT, capture_output=True, text=True
    )
    assert run.stdout == "v5litepod-1\n", run.stderr


def test_what_an_index_holds_is_said_in_words() -> None:
    assert holdings(5, 0, 8) == "5 videos in 8 segments"
    assert holdings(1, 2, 3) == "1 video and 2 photos in 3 segments"
    assert holdings(0, 1, 1) == "1 photo in 1 segment"
    assert holdings(0, 0, 0) == "0 videos in 0 segments"


LINE = '{"image": "a.jpg", "captions": ["a caf\u00e9"]}\n'


def test_captions_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    (tmp_path / choosing.OWN).write_text(LINE, encoding="utf-8-sig")
    listing = folder.read_listing(str(tmp_path))
    assert [item.captions for item in listing.items] == [["a caf\u00e9"]] and not listing.bad


@pytest.mark.parametrize("mark", [codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE])
def test_a_file_in_utf_16_is_called_so(tmp_path: Path, mark: bytes) -> None:
    path = tmp_path / choosing.OWN
    coding = "utf-16-le" if mark == codecs.BOM_UTF16_LE else "utf-16-be"
    path.write_bytes(mark + LINE.encode(coding))
    wanted = rf"^{re.escape(str(path))}.*: is UTF-16, wanted UTF-8: save it again as UTF-8$"
    for read in (lambda: folder.read_listing(str(tmp_path)), lambda: files.read_lines(path)):
        with pytest.raises(ValueError, match=wanted):
            read()
