"""Not seen is not deleted: what an update of an index keeps, forgets, and says of it."""

import os
import shutil
from pathlib import Path

import pytest

from animclip_jax import index
from animclip_jax.video_index import catalogue as catalogues
from animclip_jax.video_index import update
from input_pipeline.media import video
from tests import searchable
from tests.searchable import EFFORT, RED, shot


@pytest.fixture
def home(indexed, tmp_path):
    """An index and its videos, copied, with their times."""
    shutil.copytree(indexed.parent, tmp_path / "home")
    catalogue = catalogues.read(tmp_path / "home" / "index")
    catalogue.root = str((tmp_path / "home" / "videos").resolve())
    catalogues.write(tmp_path / "home" / "index", catalogue)
    return tmp_path / "home"


@pytest.fixture
def again(home, search_model_path, capsys):
    """Runs `animclip index` as a person does; returns its exit code and what it said."""

    def run(*flags):
        given = [str(home / "videos"), f"--model={search_model_path}", f"--out={home / 'index'}"]
        code = index.main([*given, "--processes=1", *flags])
        said = capsys.readouterr()
        return code, said.out + said.err

    return run


def known(home: Path) -> set[str]:
    return set(catalogues.read(home / "index").videos)


def deny(monkeypatch, function: str, refused: Path) -> None:
    """Tests may run as root, whom no mode of a file keeps out."""
    real = getattr(os, function)

    def denied(path, *rest, **named):
        if Path(os.fsdecode(path)) == refused:
            raise PermissionError(13, "Permission denied", os.fspath(path))
        return real(path, *rest, **named)

    monkeypatch.setattr(os, function, denied)


@pytest.mark.parametrize("left", [0, 2])
def test_a_folder_that_lost_all_or_most_of_its_videos_is_not_believed(home, again, left):
    before = (home / "index" / "catalogue.json").read_bytes()
    for path in sorted((home / "videos").rglob("*.*"))[left:]:
        path.unlink()
    if not left:
        (home / "videos" / "below").rmdir()
    code, said = again()
    assert code == 1 and said.count("\n") == 1
    assert f"{5 - left} of 5 videos in {home / 'index'} are not there now" in said
    assert "is its disk mounted?" in said and "--forget" in said
    assert (home / "index" / "catalogue.json").read_bytes() == before
    code, said = again("--forget")
    assert code == 0 and f"{5 - left} removed" in said
    assert len(known(home)) == left


def test_a_few_that_are_deleted_are_forgotten(home, again):
    (home / "videos" / "red.mp4").unlink()
    code, said = again()
    assert code == 0 and "1 removed" in said and "not found" not in said
    assert "red.mp4" not in known(home) and len(known(home)) == 4


def test_what_is_below_a_folder_that_cannot_be_read_is_kept(home, again, monkeypatch):
    deny(monkeypatch, "scandir", home / "videos" / "below")
    code, said = again()
    assert code == 0 and "0 removed" in said
    assert "left alone: below: a folder that can't be read: Permission denied" in said
    assert "1 video not found now, kept in the index" in said
    assert "below/blue.gif" in known(home)
    assert "1 removed" in again("--forget")[1]
    assert "below/blue.gif" not in known(home)


def test_a_folder_that_is_not_readable_itself_is_an_error(home, again, monkeypatch):
    deny(monkeypatch, "scandir", home / "videos")
    code, said = again("--forget")
    assert code == 1 and "Permission denied" in said and len(known(home)) == 5


def test_what_can_be_listed_but_not_looked_at_is_kept(home, again, monkeypatch):
    """As in a folder with mode r--."""
    deny(monkeypatch, "stat", home / "videos" / "below" / "blue.gif")
    code, said = again()
    assert code == 0 and "below/blue.gif" in known(home)
    assert "left alone: below/blue.gif: can't be accessed: Permission denied" in said


@pytest.mark.parametrize("becomes", ["empty", "link"])
def test_a_folder_that_is_empty_or_a_link_now_keeps_its_videos(home, again, becomes):
    """As where another disk was mounted, and where the folder moved to one."""
    below = home / "videos" / "below"
    below.rename(home / "moved")
    below.mkdir() if becomes == "empty" else below.symlink_to(home / "moved")
    code, said = again()
    assert code == 0 and "below/blue.gif" in known(home)
    told = {
        "empty": "left alone: below: an empty folder, which held videos: is a disk not mounted?",
        "link": "left alone: below: a link to a folder; links to folders are not followed",
    }
    assert told[becomes] in said


def test_links_pipes_and_loops_are_named_and_stop_nothing(home, again, tmp_path):
    videos = home / "videos"
    video.write_video(tmp_path / "secret.mp4", shot(RED, 9), 8)
    (videos / "a.mp4").symlink_to(tmp_path / "secret.mp4")
    (videos / "b.mp4").symlink_to("nothing.mp4")
    (videos / "c.mp4").symlink_to("c.mp4")
    (videos / "loop").symlink_to("loop")
    (videos / "up").symlink_to("..")
    os.mkfifo(videos / "d.mp4")
    (videos / "inner.mp4").symlink_to("red.mp4")
    (videos / "barren").mkdir()
    code, said = again()
    assert code == 0 and "1 indexed" in said
    for line in (
        "left alone: a.mp4: a link out of the folder",
        "left alone: b.mp4: a link to nothing",
        "left alone: c.mp4: a link to itself",
        "left alone: d.mp4: not a file: a pipe, a socket or a device",
        "left alone: up: a link to a folder; links to folders are not followed",
        "not videos by their names: 1 file",
    ):
        assert line in said.splitlines()
    assert "barren" not in said, "it never held a video"


def test_many_names_with_one_reason_are_a_line(home, again):
    for number in range(7):
        (home / "videos" / f"{number}.mp4").symlink_to("nothing")
    said = again()[1]
    assert "left alone: 0.mp4, 1.mp4, 2.mp4, 3.mp4, 4.mp4 and 2 more: a link to nothing" in said


@pytest.mark.parametrize("what", ["gone", "changed", "unreadable"])
def test_a_file_that_cannot_be_read_now_is_left_for_the_next_run(
    home, search_model, search_model_path, monkeypatch, what
):
    path = home / "videos" / "red.mp4"
    path.write_bytes(b"not a video, or not yet")
    real = update.workers.run

    def later(function, arguments, *rest):
        for number, result in real(function, arguments, *rest):
            if what == "gone":
                path.unlink()
            elif what == "changed":
                path.write_bytes(b"longer than it was when the folder was listed")
            else:
                path.unlink()
                path.mkdir()
            yield number, result

    monkeypatch.setattr(update.workers, "run", later)
    settings = searchable.settings_of(search_model)
    given = home / "index", home / "videos", search_model, search_model_path, settings, EFFORT
    done = update.update(*given)
    assert not done.quarantined and done.indexed == 0
    assert list(done.listing.left) == ["red.mp4"]
    assert "red.mp4" in known(home), "as it was before"


def test_a_file_is_left_where_this_machine_failed(
    home, search_model, search_model_path, monkeypatch
):
    path = home / "videos" / "red.mp4"
    path.write_bytes(b"a new video, on a disk that fails for a moment")
    failed = update.workers.Failure("can't be read: Stale file handle", later=True)
    monkeypatch.setattr(update.workers, "run", lambda *_: [(0, failed)])
    settings = searchable.settings_of(search_model)
    given = home / "index", home / "videos", search_model, search_model_path, settings, EFFORT
    done = update.update(*given)
    assert not done.quarantined and done.indexed == 0 and done.listing.waits
    assert done.listing.left == {"red.mp4": failed.reason}
    assert "red.mp4" in known(home), "as it was before"
