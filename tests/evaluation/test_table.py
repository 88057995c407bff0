"""Results as a table for a terminal: the best of a column, the width, what must be said."""

import pytest

from animclip_jax.evaluation.table import table
from tests import a_run


@pytest.fixture
def run():
    return a_run.results(reranked=15.0)


def test_table_of_a_run(run):
    run["video_to_text"]["coarse"] = a_run.scores(9.0)
    lines = table(run).splitlines()
    assert lines[0] == "drawn:test: 512 queries, 512 videos, seed 0, 600 steps"
    body = {line.split()[0]: line.split() for line in lines[5:9]}
    assert body["coarse"][1:] == ["10.0", "20.0", "30.0", "12.0*", "33.2*"] + [
        "9.0",
        "19.0",
        "29.0",
        "12.0*",
        "33.2*",
    ]
    assert body["re-ranked"][1:4] == ["(20)", "15.0*", "25.0*"]
    # The ceiling is no result: it is not marked where it is no better than one.
    assert body["ceiling"][1:5] == ["60.0", "70.0", "80.0", "12.0"]
    assert body["chance"][1:] == ["0.2", "1.0", "2.0", "-", "-"] * 2


def test_table_of_a_sweep_marks_the_best_of_each_column():
    arms = {name: a_run.results(reranked=15.0) for name in ("animated", "repeat", "still")}
    for run, first in zip(arms.values(), (20.0, 12.0, 13.0), strict=True):
        run["text_to_video"]["reranked"] = a_run.scores(first)
    shown = table(arms.pop("animated") | {"arm": "animated", "controls": arms})
    assert shown.index("animated") < shown.index("repeat") < shown.index("still")
    assert [cell for line in shown.splitlines() for cell in line.split()].count("20.0*") == 1
    assert "60.0*" not in shown
    # Ends of columns are in line.
    rows = [line for line in shown.splitlines() if line.count(".") >= 8]
    assert len({row.index(".") for row in rows if "chance" not in row}) == 1


def test_table_fits_100_columns_and_any_terminal(run):
    run["dataset"] = "folder:/data/übermäßig/" + "x" * 300
    for direction in ("text_to_video", "video_to_text"):
        for stage in ("coarse", "reranked", "ceiling"):
            run[direction][stage] |= {"MdR": 12345.5, "MnR": 9999.9, "R@10": 100.0}
    arm = "animated with everything \x1b[31m"
    shown = table(run | {"arm": arm, "controls": {"überlang" * 9: run}})
    assert shown.isascii() and "\x1b" not in shown
    assert max(map(len, shown.splitlines())) <= 100


def test_captions_that_name_a_motion_and_siblings_have_lines_of_their_own(run):
    assert "sibling" not in table(run)
    shown = table(run | a_run.told_apart())
    lines = [" ".join(line.split()) for line in shown.splitlines()]
    assert "captions that name a motion 200 10.0 21.5 30.0 41.5" in lines
    assert "the other captions 312 12.0 13.5 32.0 33.5" in lines
    assert "slide 120 50.5 [45.0, 56.0] 76.0 [72.0, 80.0]" in lines
    control = run | a_run.told_apart(51.0)
    both = run | a_run.told_apart() | {"arm": "animated", "controls": {"still": control}}
    cells = [line.split() for line in table(both).splitlines()]
    for arm, said in (("animated", "76.0"), ("still", "51.0")):
        assert any(line[:2] == [arm, "motion"] and said in line for line in cells)
    assert max(map(len, table(both).splitlines())) <= 100


def test_the_limit_of_shared_captions_stands_beside_the_results(run):
    assert "SHARED" not in table(run | {"shared_captions": {"captions": 0, "greatest_R@1": 100.0}})
    shown = table(run | {"shared_captions": {"captions": 37, "greatest_R@1": 92.82}})
    said = "37 of 512 captions are another video's too: text -> video, R@1 can't pass 92.8"
    assert f"SHARED CAPTIONS: {said}" in shown
    assert max(map(len, shown.splitlines())) <= 100
