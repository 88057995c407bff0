"""Made-up runs of known differences: what the table, its intervals and the plot make of them."""

import numpy as np
import pytest
from PIL import Image

from animclip_jax.evaluation import comparison, results
from animclip_jax.runs import layout
from animclip_jax.training.sweep import BEGINNINGS
from benchmarks import evidence, evidence_rows
from tests import a_run

QUERIES = 512
HARD = np.where(np.arange(QUERIES) % 4 == 0, 1, 40)  # R@1 and R@10 are 25


def write_arm(folder, run, seed, coarse, reranked, **changes):
    folder.mkdir(parents=True)
    settings = {"seed": seed, "steps": 600, "log_every": seed} | changes
    results.write(folder / "results.json", run | {"seed": seed, "config": settings})
    stages = {"coarse": coarse, "reranked": reranked, "ceiling": np.ones(QUERIES, int)}
    comparison.write_ranks(folder, np.arange(QUERIES), dict.fromkeys(results.DIRECTIONS, stages))


def easier(count, seed=0):
    """HARD with so many of its misses put first."""
    ranks = HARD.copy()
    misses = np.random.default_rng(seed).permutation(np.flatnonzero(HARD > 1))
    ranks[misses[:count]] = 1
    return ranks


@pytest.fixture
def run():
    return a_run.results() | {"git_commit": None}


@pytest.fixture
def sweeps(tmp_path, run):
    """Three seeds; `better` is 50, 56 and 62 queries of 512 better, re-ranked, and 5 coarse."""
    folders = []
    for seed in range(3):
        folder = tmp_path / "runs" / str(seed)
        write_arm(folder / "still", run, seed, HARD, HARD)
        better = easier(50 + 6 * seed, seed)
        write_arm(folder / "better", run, seed, easier(5, seed), better)
        write_arm(folder / "same", run, seed, HARD, HARD)
        (folder / layout.SWEEP).write_text(
            '{"main": "better", "arms": ["better", "still", "same"]}'
        )
        folders.append(folder)
    return folders


def rows_of(sweeps, against=None):
    rows = evidence.compare(evidence.read(sweeps), "still", against or {})
    return {(row.arm, row.direction, row.stage): row for row in rows}


def test_a_known_difference_is_found_and_a_tie_is_one(sweeps):
    rows = rows_of(sweeps)
    assert len(rows) == 3 * 2 * 2
    better = rows["better", "text_to_video", "reranked"]
    np.testing.assert_allclose(better.values["R@1"], [100 * (128 + n) / 512 for n in (50, 56, 62)])
    gain = better.gains["R@1"]
    assert gain.value == pytest.approx(100 * 56 / 512)
    assert gain.lower < gain.value < gain.upper and gain.value == pytest.approx(
        (gain.lower + gain.upper) / 2
    )
    assert gain.is_significant and gain.lower > 0
    tie = rows["same", "video_to_text", "coarse"].gains["R@10"]
    assert tie == (0, 0, 0, 1) and not tie.is_significant
    back = rows_of(sweeps, {"still": "better"})["still", "text_to_video", "reranked"]
    assert back.base == "better" and back.gains["R@1"].value == pytest.approx(-gain.value)
    assert back.gains["R@1"].lower == pytest.approx(-gain.upper)


def test_what_an_arm_gains_is_compared_with_what_another_gains(sweeps):
    arms = evidence.read(sweeps)
    rows = evidence.compare(arms, "still", {"same": "better"}, [("better", "same")])
    of_gains = [row for row in rows if row.is_of_gains]
    assert [(row.direction, row.stage) for row in of_gains] == [
        (direction, stage) for direction in results.DIRECTIONS for stage in evidence_rows.STAGES
    ]
    row = of_gains[1]
    assert (row.arm, row.base) == ("better - still", "same - better")
    np.testing.assert_allclose(row.values["R@1"], [100 * n / 512 for n in (50, 56, 62)])
    gain = row.gains["R@1"]
    assert gain.value == pytest.approx(2 * 100 * 56 / 512) and gain.is_significant
    line = evidence.table(rows, "still").split("\n\n")[0].splitlines()[-1]
    assert line.startswith(
        "| (better - still) minus (same - better) | re-ranked | 10.9 ± 1.2 | **+21.9"
    )
    # By what re-ranking raised the gain on its base, as the coarse row has it.
    raised = row.raised
    assert raised is not None and raised.value == pytest.approx(100 * (56 - 5) / 512)
    assert line.endswith(
        f"**+{raised.value:.1f} [{raised.lower:+.1f}, {raised.upper:+.1f}] p < 0.001** |"
    )
    with pytest.raises(ValueError, match="no arm 'worse': there are better, still, same"):
        evidence.compare(arms, "still", {}, [("better", "worse")])


def test_what_reranking_raises_is_paired_by_query(sweeps):
    rows = rows_of(sweeps)
    better = rows["better", "text_to_video", "reranked"]
    assert better.raised.value == pytest.approx(100 * (56 - 5) / 512)
    assert 0 < better.raised.lower < better.raised.value and better.raised.is_significant
    assert rows["still", "text_to_video", "reranked"].raised == (0, 0, 0, 1)
    assert rows["better", "text_to_video", "coarse"].raised is None


def test_pairing_finds_what_unpaired_intervals_would_not(sweeps):
    """5 queries of 512 by which one is always ahead, where R@1 alone is 3.7 points unsure."""
    gain = rows_of(sweeps)["better", "text_to_video", "coarse"].gains["R@1"]
    assert gain.value == pytest.approx(100 * 5 / 512) and gain.is_significant
    unpaired = 1.96 * np.sqrt(2 * 25 * 75 / QUERIES)
    assert gain.value < unpaired


def test_one_seed_is_told_apart_as_two_evaluations_are(sweeps):
    arms = evidence.read(sweeps[:1])
    found = evidence.compare(arms, "still", {})
    row = next(row for row in found if row.arm == "better" and row.stage == "reranked")
    by_queries = comparison.compare(arms["better"][0], arms["still"][0])
    theirs = by_queries["text_to_video"]["reranked"]["R@1"]
    gain = row.gains["R@1"]
    assert gain.value == pytest.approx(theirs["difference"])
    assert (gain.lower, gain.upper) == pytest.approx((theirs["lower"], theirs["upper"]), abs=0.3)


@pytest.mark.parametrize("changed", [1, 5, 6])
def test_a_handful_of_queries_that_changed_is_not_significant(tmp_path, run, changed):
    """Each in every seed, so that seeds say nothing else; 5 of 5 is 1 of 16 by chance alone."""
    for seed in range(2):
        write_arm(tmp_path / f"{seed}" / "still", run, seed, HARD, HARD)
        write_arm(tmp_path / f"{seed}" / "better", run, seed, HARD, easier(changed))
    for sweeps in ([tmp_path / "0"], [tmp_path / "0", tmp_path / "1"]):
        rows = rows_of(sweeps)
        row = rows["better", "text_to_video", "reranked"]
        for found in (row.gains["R@1"], row.raised):
            assert found.lower <= found.value <= found.upper
            assert found.is_significant == (found.lower > 0) == (changed == 6)
            assert found.p >= min(1, 2.0 ** (1 - changed)) or changed == 6
        assert rows["better", "text_to_video", "coarse"].gains["R@1"] == (0, 0, 0, 1)


def test_no_more_is_called_significant_than_it_says():
    """Three seeds of two equal arms: about one comparison of twenty, whatever the noise is of."""
    random = np.random.default_rng(0)
    for seeds_noise, queries_noise in ((1.0, 0.1), (1.0, 1.0), (0.1, 1.0)):
        found = []
        for _ in range(400):
            true = random.normal(0, seeds_noise, 3) + random.normal(0, queries_noise)
            drawn = true + random.normal(0, queries_noise, (300, 1))
            found.append(evidence_rows.difference(true, drawn).is_significant)
        assert 0.01 < np.mean(found) < 0.08, (seeds_noise, queries_noise)


def test_the_table(sweeps):
    rows = evidence.compare(evidence.read(sweeps), "still", {"same": "better"})
    first, second = evidence.table(rows, "still").split("\n\n")
    lines = first.splitlines()
    assert len(lines) == 2 + 3 * 2 and len({line.count("|") for line in lines}) == 1
    assert lines[0].startswith("| text -> video | stage | R@1 | vs. still | R@10 |")
    assert lines[3].startswith("| better | re-ranked | 35.9 ± 1.2 | **+10.9 [+")
    assert lines[3].endswith("] p < 0.001**; 3 of 3 seeds |")
    assert lines[5].startswith("| still | re-ranked | 25.0 ± 0.0 |  | 25.0 ± 0.0 |  | +0.0 [")
    assert lines[5].endswith("[+0.0, +0.0] p 1.000; 0 of 3 seeds |")
    assert lines[7].startswith("| same (vs. better) | re-ranked | 25.0 ± 0.0 | **-10.9 [-")
    assert second.startswith("| video -> text |")


@pytest.fixture
def moving(tmp_path, run):
    """Three seeds of an arm that finds captions of motion and tells siblings apart, and of none."""
    motion = np.arange(QUERIES) % 8 < 4  # Half of them, and of those that HARD has first.
    known: dict[str, np.ndarray] = {"motion": motion, "siblings/motion": np.arange(200) < 150}
    known |= {"siblings/pair": np.arange(200) // 4}
    even = np.where(np.arange(200) < 150, np.arange(200) % 2, 0.5)  # of the others it sees nothing
    folders = []
    for seed in range(3):
        folder = tmp_path / "moving" / str(seed)
        above = np.where((np.arange(200) < 150) & (np.arange(200) % 10 < 5 + seed), 1, even)
        for arm, ranks, apart in (
            ("told", np.where(motion, easier(200, seed), HARD), above),
            ("still", HARD, even),
        ):
            write_arm(folder / arm, run, seed, HARD, ranks)
            stages = {"coarse": HARD, "reranked": ranks, "ceiling": np.ones(QUERIES, int)}
            more = known | {"siblings/coarse": even, "siblings/reranked": apart}
            ranks_of = dict.fromkeys(results.DIRECTIONS, stages)
            comparison.write_ranks(folder / arm, np.arange(QUERIES), ranks_of, more)
        (folder / layout.SWEEP).write_text('{"main": "told", "arms": ["told", "still"]}')
        folders.append(folder)
    return folders


def test_captions_of_motion_the_others_and_siblings_are_compared_apart(moving):
    rows = {(row.direction, row.arm, row.stage): row for row in rows_of(moving).values()}
    motion = np.arange(QUERIES) % 8 < 4
    told = rows["motion", "told", "reranked"]
    wanted = [100 * np.mean(easier(200, seed)[motion] == 1) for seed in range(3)]
    np.testing.assert_allclose(told.values["R@1"], wanted)
    assert told.gains["R@1"].is_significant and told.raised.is_significant
    assert rows["others", "told", "reranked"].gains["R@1"] == (0, 0, 0, 1)
    apart = rows["siblings/motion", "told", "reranked"]
    tenths = np.arange(150) % 10
    wanted = [100 * np.mean((tenths < 5 + seed) | (tenths % 2 == 1)) for seed in range(3)]
    np.testing.assert_allclose(apart.values["told apart, %"], wanted)
    assert apart.gains["told apart, %"].is_significant
    assert rows["siblings/others", "told", "reranked"].values["told apart, %"].tolist() == [50] * 3
    tables = evidence.table(list(rows.values()), "still").split("\n\n")
    assert [one.split(" |")[0] for one in tables] == [
        "| text -> video",
        "| video -> text",
        "| text -> video, captions that name a motion",
        "| text -> video, the other captions",
        "| siblings that differ in a motion",
        "| siblings that differ in a swap",
    ]
    head = "| told apart, % | vs. still | re-ranking raised told apart |"
    assert tables[4].splitlines()[0].endswith(head)


def test_runs_that_tell_of_no_motion_are_compared_in_what_they_share(moving, run):
    arms = evidence.read(moving)
    for name in ("motion", "siblings/motion"):
        del arms["still"][0].ranks[name]
    subjects = {row.direction for row in evidence.compare(arms, "still", {})}
    assert subjects == set(results.DIRECTIONS)


def test_the_table_over_k(tmp_path, run):
    folders = []
    for seed in range(2):
        for arm, sizes in (("few", (5, 20)), ("all", (5, 600))):
            sweep = [
                {"k": k, "R@1": 10 + 2 * seed, "ceiling": 60, "milliseconds": 1} for k in sizes
            ]
            found = run["text_to_video"] | {"k_sweep": sweep}
            changed = run | {"text_to_video": found}
            write_arm(tmp_path / str(seed) / arm, changed, seed, HARD, HARD)
        folders.append(tmp_path / str(seed))
    lines = evidence.k_table(evidence.read(folders, ["few", "all"])).splitlines()
    assert lines[0] == "| R@1 of K candidates (ceiling) | 5 | 20 | 600 |"
    assert lines[2:] == [
        "| few | 11.0 ± 1.4 (60) | 11.0 ± 1.4 (60) |  |",
        "| all | 11.0 ± 1.4 (60) |  | 11.0 ± 1.4 (60) |",
    ]


def test_the_table_of_what_siblings_differ_in(tmp_path, run):
    def of_kind(captions, coarse, reranked):
        stages = {"coarse": coarse, "reranked": reranked}
        shares = {name: {"above": above, "interval": [0, 100]} for name, above in stages.items()}
        return {"captions": captions, "pairs": 5} | shares

    folders = []
    for seed in range(2):
        for arm, more in (("told", 20), ("still", 0)):
            found = {"motion": of_kind(90, 50, 50), "others": of_kind(7, 50, 50)}
            found |= {"pan": of_kind(30, 50, 50 + more), "zoom": of_kind(60, 50 + seed, 60 + more)}
            write_arm(tmp_path / str(seed) / arm, run | {"siblings": found}, seed, HARD, HARD)
        folders.append(tmp_path / str(seed))
    arms = evidence.read(folders, ["told", "still"])
    assert evidence.kinds_table(arms).splitlines() == [
        "| told apart, %, means: coarse, re-ranked | zoom (60 captions) | pan (30 captions) |",
        "| --- | --- | --- |",
        "| told | 50.5, 80.0 | 50.0, 70.0 |",
        "| still | 50.5, 60.0 | 50.0, 50.0 |",
    ]
    del arms["still"][1].results["siblings"]["pan"]
    assert "pan" not in evidence.kinds_table(arms)
    del arms["still"][1].results["siblings"]
    assert evidence.kinds_table(arms) == ""


def test_what_cannot_be_compared_is_refused(sweeps, run, capsys):
    def refused(*arguments):
        assert evidence.main(["made-up", *map(str, sweeps), "--base", "still", *arguments]) == 1
        return capsys.readouterr().err

    assert "no arm 'stil': there are better, still, same" in refused("--against", "same=stil")
    assert "--against same: wanted ARM=OTHER, both of them" in refused("--against", "same")
    assert "--gains =still: wanted ARM=OTHER" in refused("--gains", "=still")
    assert "arm 'worse' is missing: no" in refused("--arms", "still", "worse")
    (sweeps[1] / "better" / "results.json").rename(sweeps[1] / "elsewhere")
    assert f"arm 'better' is missing: no {sweeps[1] / 'better' / 'results.json'}" in refused()
    assert evidence.main(["x", *map(str, sweeps), "--base", "still", "--arms", "still"]) == 0
    (sweeps[1] / layout.SWEEP).write_text('{"main": "still", "arms": ["still", "same"]}')
    assert f"{sweeps[1]}: found the arms still, same, wanted better, still" in refused()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"queries": "ffff"}, "its set of videos and captions .* is 'ffff', here it is '0a1b'"),
        ({"seed": 7}, "field seed: found 7, wanted 2"),
        ({"config": {"seed": 2, "steps": 601}}, "arm 'same' is another one .* steps: there 601"),
    ],
)
def test_runs_of_something_else_are_refused(sweeps, run, change, said):
    path = sweeps[2] / "same" / "results.json"
    results.write(path, results.read(path) | change)
    with pytest.raises(ValueError, match=said):
        evidence.read(sweeps)


@pytest.mark.parametrize("key", BEGINNINGS)
def test_arms_that_begin_with_weights_of_their_seed_are_compared(sweeps, run, key):
    for seed, folder in enumerate(sweeps):
        (folder / "same" / "results.json").unlink()
        (folder / "same" / "ranks.npz").unlink()
        (folder / "same").rmdir()
        write_arm(folder / "same", run, seed, HARD, HARD, **{key: f"{folder}/better"})
    assert ("same", "text_to_video", "coarse") in rows_of(sweeps)


def test_one_seed_twice_is_refused(sweeps):
    with pytest.raises(ValueError, match=r"seeds \[0, 1, 0\]: wanted sweeps of different seeds"):
        evidence.read([*sweeps[:2], sweeps[0]])


def test_models_of_another_number_of_frames_are_compared(sweeps, run):
    for sweep in sweeps:
        path = sweep / "better" / "results.json"
        found = results.read(path)
        results.write(path, found | {"protocol": found["protocol"] | {"num_frames": 8}})
    assert rows_of(sweeps)


@pytest.mark.parametrize(
    ("dataset", "named"),
    [
        ("drawn:val", "drawn:val"),
        ("folder:/home/me/a/videos@split=x/y", "folder:videos@split=x/y"),
        ("webdataset:gs://bucket/{0..9}.tar", "webdataset:{0..9}.tar"),
    ],
)
def test_the_heading_names_no_folder_of_the_machine(sweeps, dataset, named):
    arms = evidence.read(sweeps)
    arms["better"][0].results["dataset"] = dataset
    assert f". {named}: " in evidence.heading(arms, "command", "a box")


@pytest.mark.long
def test_the_page_and_the_picture(sweeps, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(evidence, "DOCS", tmp_path)
    page = tmp_path / "experiments" / "made-up.md"
    page.parent.mkdir()
    place = "<!-- evidence: {} -->\nstale\n\nrows\n<!-- end -->\n"
    above, below = place.format("other"), place.format("another")
    before = f"{above}between\n{place.format('made-up')}after\n{below}"
    page.write_text(before)
    command = ["made-up", *map(str, sweeps), "--base", "still", "--machine", "a box", "--write"]
    assert evidence.main(command) == 0
    written = page.read_text()
    assert written.startswith(f"{above}between\n<!-- evidence: made-up -->\n`python")
    assert written.endswith(f"|\n<!-- end -->\nafter\n{below}")
    assert written.count("stale") == 2 and "](../evidence/made-up.png)" in written
    assert "a box, commit unknown, seeds 0, 1, 2. drawn:test" in written
    assert f"`python -m benchmarks.evidence made-up {sweeps[0]}" in written
    picture = tmp_path / "evidence" / "made-up.png"
    assert picture.stat().st_size < 100_000
    with Image.open(picture) as image:
        assert image.size[0] > 800
        pixels = np.asarray(image.convert("RGB"), int)
    for colour in ((255, 255, 255), (0x1A, 0x5F, 0xB4)):  # the ground, and what is above
        assert (np.abs(pixels - colour).max(axis=-1) < 8).any()
    assert evidence.main(command) == 0 and page.read_text() == written
    assert evidence.main([*command, "--gains", "better=same", "better=still"]) == 0
    assert page.read_text().count("| (better - still) minus (still - still) | re-ranked |") == 2
    with Image.open(picture) as image:  # a line more for each
        assert image.size[1] - len(pixels) == pytest.approx(2 * 0.42 * 110, abs=3)
    shown = ["--shown", "better=filmed", "--than", "the same pictures held still"]
    assert evidence.main([*command, *shown]) == 0
    with Image.open(picture) as image:  # that line alone
        assert len(pixels) - image.size[1] == pytest.approx(0.42 * 110, abs=3)
    assert evidence.main([*command, "--shown", "still=its own base"]) == 1
    assert "--shown still: no arm that is compared" in capsys.readouterr().err
    page.write_text("# Results\n")
    assert evidence.main(command) == 1
    assert "found '<!-- evidence: made-up -->' 0 times" in capsys.readouterr().err
    assert page.read_text() == "# Results\n"
    page.write_text("<!-- evidence: made-up -->\n")
    assert evidence.main(command) == 1 and "no '<!-- end -->'" in capsys.readouterr().err
    page.write_text(before)
    page.with_name("copy.md").write_text(before)
    assert evidence.main(command) == 1 and "2 times" in capsys.readouterr().err
