"""The line that says how far an index is."""

import io
import re
import sys

from animclip_jax import index
from animclip_jax.video_index.progress import Progress
from tests import searchable


class Terminal(io.StringIO):
    def isatty(self):
        return True

    @property
    def lines(self):
        return [line.strip() for line in re.split("[\r\n]", self.getvalue()) if line.strip()]


def shown(monkeypatch):
    """What a terminal shows from now on: called in a test, since pytest exchanges stderr before."""
    found = Terminal()
    monkeypatch.setattr(sys, "stderr", found)
    return found


def test_files_hours_pace_and_time_left_are_told_in_one_line(monkeypatch):
    terminal = shown(monkeypatch)
    with Progress(4) as progress:
        first = r"indexing: 0 of 4 files, 0.00 hours of video, \? files/s, \? left"
        assert re.fullmatch(first, terminal.lines[0])
        progress.bar.mininterval = 0
        for hours in (1.5, 0, 0.75):
            progress.add(3600 * hours)
        told = terminal.lines
    whole = r"indexing: 3 of 4 files, 2.25 hours of video, [ \d.]+ files/s, \d\d:\d\d left"
    assert re.fullmatch(whole, told[-1]), told
    assert len(told) == 4 and "\n" not in terminal.getvalue().rstrip("\n")


def test_where_nobody_sees_it_nothing_is_told(capsys):
    with Progress(2) as progress:
        progress.add(3600)
    assert capsys.readouterr() == ("", "")


def test_an_index_tells_it(tmp_path, search_model_path, monkeypatch):
    terminal = shown(monkeypatch)
    videos = searchable.write_videos(tmp_path / "videos")
    (videos / "broken.mp4").write_bytes(b"no video")
    line = [str(videos), f"--model={search_model_path}", f"--out={tmp_path / 'index'}"]
    assert index.main([*line, "--processes=1"]) == 0
    assert terminal.lines[-1].startswith("indexing: 6 of 6 files, 0.01 hours of video, ")
