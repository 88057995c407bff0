"""The runs that tables are made of, packed: every table says the same as from the folders."""

import os
import shutil
import zipfile
from pathlib import Path

import pytest

from benchmarks import evidence, evidence_archive
from tests.repository import ROOT
from tests.room import room

KEPT = evidence_archive.ARCHIVES
MADE = 1_764_000_000  # seconds since 1970


@pytest.fixture
def sweeps(tmp_path):
    """Those of a table in docs, and files beside them that an archive leaves out."""
    with evidence_archive.unpacked([evidence_archive.ARCHIVES / "components_val.zip"]) as kept:
        folders = []
        for number, sweep in enumerate(kept):
            folder = Path(shutil.copytree(sweep, tmp_path / str(number)))
            (folder / "full" / "train.log").write_text("not kept")
            for path in folder.rglob("*.*"):
                os.utime(path, (MADE, MADE))
            folders.append(folder)
    return folders


def test_a_packed_table_is_that_of_the_folders(sweeps, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(evidence_archive, "ARCHIVES", tmp_path)
    assert evidence_archive.main(["some", *map(str, sweeps)]) == 0
    path = tmp_path / "some.zip"
    assert capsys.readouterr().out == f"{path}\n"
    options = ["--base", "full", "--arms", "full", "pan+tilt", "--machine", "a box"]
    tables = []
    for given in (sweeps, [path]):
        assert evidence.main(["some", *map(str, given), *options]) == 0
        tables.append(capsys.readouterr().out.partition("`, ")[2])
    assert tables[0] == tables[1] and ", seeds 0, 1, 2. drawn:val" in tables[1]
    assert tables[1].startswith("2025-11-24, a box")
    assert not [name for name in zipfile.ZipFile(path).namelist() if "train.log" in name]


def test_what_cannot_be_packed_or_read_is_named(sweeps, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(evidence_archive, "ARCHIVES", tmp_path)
    assert evidence_archive.main(["some", str(tmp_path / "nothing")]) == 1
    assert "nothing: no arm with a results.json" in capsys.readouterr().err
    (sweeps[0] / "full" / "ranks.npz").unlink()
    assert evidence_archive.main(["some", str(sweeps[0])]) == 1
    assert "ranks.npz" in capsys.readouterr().err and not (tmp_path / "some.zip").exists()
    (tmp_path / "some.zip").write_bytes(b"no archive")
    assert evidence.main(["some", str(tmp_path / "some.zip"), "--base", "full"]) == 1
    assert f"{tmp_path / 'some.zip'}: damaged, or no archive of runs" in capsys.readouterr().err
    packed = bytearray((KEPT / "components_val.zip").read_bytes())
    packed[2000:2100] = bytes(100)
    zipfile.ZipFile(tmp_path / "empty.zip", "w").close()
    (tmp_path / "flipped.zip").write_bytes(packed)
    wrong = {"flipped.zip": "damaged, or no archive", "empty.zip": "an empty archive"}
    for name, said in wrong.items():
        assert evidence.main(["some", str(tmp_path / name), "--base", "full"]) == 1
        assert f"{tmp_path / name}: {said}" in capsys.readouterr().err


def test_archives_of_one_name_are_unpacked_apart(sweeps, tmp_path, monkeypatch):
    packed = []
    for number, sweep in enumerate(sweeps[:2]):
        monkeypatch.setattr(evidence_archive, "ARCHIVES", tmp_path / f"of {number}")
        assert evidence_archive.main(["some", str(sweep)]) == 0
        packed.append(tmp_path / f"of {number}" / "some.zip")
    with evidence_archive.unpacked(packed) as found:
        ranks = [(path / "full" / "ranks.npz").read_bytes() for path in found]
    assert ranks == [(sweep / "full" / "ranks.npz").read_bytes() for sweep in sweeps[:2]]


def test_a_full_disk_leaves_the_archive_that_was_there(sweeps, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(evidence_archive, "ARCHIVES", tmp_path / "kept")
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "some.zip").write_bytes(b"before")
    with room(900):
        assert evidence_archive.main(["some", *map(str, sweeps)]) == 1
    assert (
        f"{tmp_path / 'kept' / 'some.zip'}: can't be written: File too" in capsys.readouterr().err
    )
    (left,) = (tmp_path / "kept").iterdir()
    assert left.read_bytes() == b"before"


def test_what_is_kept_has_a_page_whose_command_reads_it():
    pages = "".join(page.read_text() for page in (ROOT / "docs" / "experiments").glob("*.md"))
    archives = sorted(evidence_archive.ARCHIVES.iterdir())
    assert len(archives) > 5
    for path in archives:
        assert f" docs/evidence/runs/{path.name} --base" in pages, path
