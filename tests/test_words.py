"""Words in what commands print, and where they are printed."""

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from animclip_jax import has_tpu, search
from animclip_jax.signals import stoppable
from animclip_jax.words import count


def test_one_thing_is_not_many() -> None:
    assert [count(n, "file") for n in (0, 1, 2)] == ["0 files", "1 file", "2 files"]
    assert count(1200, "video") == "1,200 videos"


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
    assert search.on_a_terminal("a\x1b[31mred\n.mp4") == "a\\x1b[31mred\\n.mp4"
    assert search.on_a_terminal("caf\u00e9 \u2028.mp4") == "caf\u00e9 \\u2028.mp4"


def test_without_a_tpu_libtpu_is_told_not_to_look_for_one(tmp_path: Path) -> None:
    assert not has_tpu(tmp_path)
    (tmp_path / "0000:00:04.0").mkdir()
    (tmp_path / "0000:00:04.0" / "vendor").write_text("0x1ae0\n")
    assert has_tpu(tmp_path)
    if has_tpu():
        pytest.skip("there is a TPU here")
    code = "import os, animclip_jax; print(os.environ['TPU_ACCELERATOR_TYPE'])"
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TPU_")}
    root = Path(__file__).resolve().parents[1]
    run = subprocess.run(
        [sys.executable, "-c", code], env=kept, cwd=root, capture_output=True, text=True
    )
    assert run.stdout == "v5litepod-1\n", run.stderr
