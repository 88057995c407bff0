"""Tests of benchmarks.shots and of the films that it makes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks import shots
from benchmarks.edited_films import FPS, KINDS, Change, film, write_films
from benchmarks.shots import Score, halved, measure, score, table
from tests.textures import still

CUT, DISSOLVE = Change("cut", 30, 30), Change("dissolve", 60, 80)


def test_a_cut_counts_within_a_frame_and_a_dissolve_anywhere_in_it() -> None:
    for said in ([29, 60], [30, 70], [31, 80]):
        assert score(said, [CUT, DISSOLVE]) == Score(2, 2, 2)
    for said in ([28, 59], [32, 81]):
        assert score(said, [CUT, DISSOLVE]) == Score(0, 2, 2)


def test_what_is_said_twice_counts_once() -> None:
    found = score([30, 31, 65, 70], [CUT, DISSOLVE])
    assert found == Score(2, 2, 4)
    assert (found.precision, found.recall) == (0.5, 1.0)
    assert found.f1 == pytest.approx(2 / 3)


def test_who_says_nothing_has_no_precision() -> None:
    assert (Score(0, 3, 0).precision, Score(0, 3, 0).recall, Score(0, 3, 0).f1) == (0, 0, 0)
    assert (Score(0, 0, 0).precision, Score(0, 0, 0).recall, Score(0, 0, 0).f1) == (1, 1, 1)


def test_halves_share_nothing_and_leave_nothing_out() -> None:
    names = [f"{number}.mp4" for number in range(11)]
    choose, report = (halved(names, half) for half in shots.HALVES)
    assert not {*choose} & {*report} and sorted(choose + report) == sorted(names)


@pytest.mark.parametrize("kind", KINDS)
def test_a_film_changes_where_its_truth_says(kind: str) -> None:
    clips = [np.full((150, 8, 8, 3), level, np.uint8) for level in (60, 120, 240)]
    frames, changes = film(clips, kind, np.random.default_rng(3))
    assert [change.kind for change in changes] == [kind, kind]
    level = frames[:, 0, 0, 0]
    places = [0, *(place for change in changes for place in change[1:]), len(frames)]
    for shot, wanted in enumerate((60, 120, 240)):
        begin, end = places[2 * shot : 2 * shot + 2]
        assert end - begin >= FPS // 2 and set(level[begin:end].tolist()) == {wanted}


@pytest.mark.long
def test_ours_are_measured_on_films_of_textures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clips = [still(seed, 3 * FPS) for seed in range(4)]
    made = write_films(tmp_path, clips, 1, 0)
    films = {tmp_path / name: (found[0].kind, found) for name, found in made.items()}
    rows = measure(films, {"ours": shots.ours})
    assert [(row["films"], row["found"], row["there"], row["said"]) for row in rows] == [
        (kind, 3, 3, 3) for kind in KINDS
    ]
    assert len(table(rows).splitlines()) == 5

    monkeypatch.setattr(shots, "DRAWN", 3)
    written = tmp_path / "rows.json"
    shots.main(["--ours-alone", "--films=1", f"--json={written}"])
    assert [row["films"] for row in json.loads(written.read_text())] == [*KINDS]
    assert "| fade | ours |" in capsys.readouterr().out
