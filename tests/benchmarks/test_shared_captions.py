"""What shared captions leave to reach in the real annotation files."""

import shutil

import pytest

from benchmarks import shared_captions

FILES = {
    "msrvtt": ("train_val_videodatainfo.json", "test_videodatainfo.json")
    + ("MSRVTT_JSFUSION_test.csv", "MSRVTT_train.9k.csv"),
    "msvd": ("captions_msvd.json", "train_list.txt", "val_list.txt", "test_list.txt"),
}


@pytest.mark.parametrize(
    ("kind", "rows"),
    [
        ("msrvtt", [("full-test", "59,800", "92.8"), ("1k-A-9k-test", "1,000", "99.5")]),
        ("msvd", [("test", "27,763", "91.4")]),
    ],
)
def test_the_greatest_recall_of_published_tests(tmp_path, shared_data, capsys, kind, rows):
    for name in FILES[kind]:
        shutil.copyfile(shared_data / "annotations" / kind / f"{name}.gz", tmp_path / f"{name}.gz")
    shared_captions.main([f"{kind}:{tmp_path}"])
    printed = [
        [cell.strip() for cell in line.split("|")] for line in capsys.readouterr().out.split("\n")
    ]
    found = {(cells[1].strip("`"), cells[3], cells[5]) for cells in printed if len(cells) == 7}
    assert found >= set(rows)
