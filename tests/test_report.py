"""The report: of a run or a sweep, honest in words, safe with hostile texts, seen in a browser."""

import html
import json
import re
import shutil
import subprocess

import numpy as np
import pytest
from PIL import Image

from animclip_jax.evaluation import results
from animclip_jax.evaluation.comparison import write_ranks
from animclip_jax.evaluation.table import caveats, table
from animclip_jax.report import main
from animclip_jax.reporting import pictures as report_pictures
from animclip_jax.reporting.report import report
from tests import a_run
from tests.reported import HOSTILE, RANKS, Outline, clip, text_of, write_run
from tests.repository import ROOT


@pytest.fixture
def sweep(tmp_path):
    folder = tmp_path / "sweep"
    write_run(folder / "animated", a_run.results())
    write_run(folder / "repeat", a_run.results("repeat", 8.0, 9.0))
    write_run(folder / "still", a_run.results("still", 9.0, 17.0))
    return folder


def test_a_sweep_is_gathered_and_printed(sweep, capsys):
    assert main([str(sweep)]) == 0
    printed = capsys.readouterr().out
    assert table(results.read(sweep / "results.json")) in printed
    assert str(sweep / "report.html") in printed and str(sweep / "results.json") in printed
    found = results.read(sweep / "results.json")
    assert found["arm"] == "animated" and set(found["controls"]) == {"repeat", "still"}
    assert main([str(sweep)]) == 0  # its own results.json is not in the way


def test_the_main_arm_by_option_or_by_sweep_json(sweep):
    assert report(sweep, "still")["arm"] == "still"
    (sweep / "sweep.json").write_text('{"main": "repeat", "arms": ["repeat", "still"]}')
    found = report(sweep)
    assert found["arm"] == "repeat" and set(found["controls"]) == {"still"}
    assert report(sweep, "still")["arm"] == "still"  # the option goes first


def test_a_single_run(tmp_path, capsys):
    write_run(tmp_path / "run", a_run.results())
    before = (tmp_path / "run" / "results.json").read_bytes()
    assert main([str(tmp_path / "run")]) == 0
    assert (tmp_path / "run" / "results.json").read_bytes() == before
    page = text_of((tmp_path / "run" / "report.html").read_text())
    assert "The model, trained for 600 steps on drawn:train" in page
    assert main([str(tmp_path / "run"), "--main", "x"]) == 1
    assert "leave out --main" in capsys.readouterr().err


def test_every_term_of_a_loss_that_knows_motion_has_a_curve_and_no_other_run_an_empty_one(tmp_path):
    terms = "loss", "matching", "moving", "agreeing", "reading", "following"
    for arm, logged in (("animated", terms), ("still", terms[:2])):
        write_run(tmp_path / arm, a_run.results())
        lines = [json.dumps({"step": step} | dict.fromkeys(logged, 1.0 / step)) for step in (1, 2)]
        (tmp_path / arm / "metrics.jsonl").write_text("\n".join(lines) + "\n")
    report(tmp_path, "animated")
    alts = re.findall(
        r"(\w+) over 2 steps; at the end: ([^\"<]+)", (tmp_path / "report.html").read_text()
    )
    assert [name for name, _ in alts] == [*terms]
    assert [ends.count("0.5") for _, ends in alts] == [2, 2, 1, 1, 1, 1]


def test_a_run_that_kept_nothing_but_its_results(tmp_path):
    results.write(tmp_path / "results.json", a_run.results())
    report(tmp_path)
    page = (tmp_path / "report.html").read_text()
    Outline(page)
    assert "The run kept no samples" in page and "The run kept no queries" in page


def test_errors_name_what_is_missing_and_leave_no_page(sweep, capsys):
    (sweep / "still" / "results.json").unlink()
    assert main([str(sweep)]) == 1
    assert "arm 'still' is not finished" in capsys.readouterr().err
    assert main([str(sweep / "nowhere")]) == 1
    assert "no folder" in capsys.readouterr().err
    assert not list(sweep.glob("*.html"))


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("rankings/0.jpg", None, r"0\.jpg is not a readable picture"),
        ("rankings/0.jpg", b"GIF89a rubbish", r"0\.jpg is not a readable picture"),
        ("rankings/rankings.json", b'{"queries": [{}], "strips": {}}', "KeyError: 'caption'"),
        ("samples/samples.json", b"[3]", r"samples\.json: not in the layout"),
        ("samples/samples.json", b"[", r"samples\.json: not JSON"),
        ("metrics.jsonl", b"rubbish\n{}\n", r"metrics\.jsonl, line 1"),
        (
            "samples/samples.json",
            b'[{"picture": "../../../secret.jpg", "strip": "0.jpg", "caption": ""}]',
            r"found the file name '\.\./\.\./\.\./secret\.jpg', wanted one in this folder",
        ),
    ],
)
def test_damaged_files_are_named(tmp_path, file, content, message):
    write_run(tmp_path / "run", a_run.results())
    Image.fromarray(clip(0)[0]).save(tmp_path / "secret.jpg")
    path = tmp_path / "run" / file
    path.unlink() if content is None else path.write_bytes(content)
    with pytest.raises(ValueError, match=message):
        report(tmp_path / "run")


def test_hostile_texts_stay_texts(tmp_path):
    arm = HOSTILE.replace("/", "|")
    hostile = a_run.results() | {"dataset": HOSTILE, "git_commit": HOSTILE}
    hostile |= {"config": {HOSTILE: HOSTILE}, "config_overrides": {HOSTILE: HOSTILE}}
    hostile |= a_run.told_apart()
    hostile["siblings"][HOSTILE] = hostile["siblings"].pop("slide")
    write_run(tmp_path / "s" / "main", hostile, HOSTILE)
    write_run(tmp_path / "s" / arm, hostile | {"config": {HOSTILE: [HOSTILE]}}, HOSTILE)
    report(tmp_path / "s", "main")
    page = (tmp_path / "s" / "report.html").read_text()
    outline = Outline(page)
    assert not {"script", "iframe", "object", "link"} & {tag for tag, _ in outline.tags}
    names = {name for _, attributes in outline.tags for name in attributes}
    assert not any(name.startswith("on") for name in names)
    # Every one of them is still there to be read: caption, id, arm, dataset, setting, commit.
    shown = text_of(page)
    assert shown.count(HOSTILE) > 50 and arm in shown
    assert f"Video search on {HOSTILE}" in shown
    assert f"Commit: {HOSTILE}" in shown


def test_a_pair_that_differs_in_a_motion_is_shown_with_both_captions_and_all_scores(tmp_path):
    for arm, reranked in (("animated", 76.0), ("still", 51.0)):
        write_run(tmp_path / arm, a_run.results() | a_run.told_apart(reranked))
    report(tmp_path)
    page = (tmp_path / "report.html").read_text()
    Outline(page)
    shown = text_of(page)
    assert "captions that name a motion 200 10.0 21.5 30.0 41.5" in shown
    assert "slide 120 50.5 [45.0, 56.0] 76.0 [72.0, 80.0]" in shown
    assert "slide 120 50.5 [45.0, 56.0] 51.0 [47.0, 55.0]" in shown
    assert "These two differ in: a red ball slide" in shown
    left, right = "a red ball slides left", "a red ball slides right"
    assert f"{left} coarse ✓ 0.410 0.420 re-ranked ✓ 0.610 0.320" in shown
    assert f"{right} coarse 0.430 ✓ 0.440 re-ranked 0.330 ✓ 0.640" in shown
    # The higher score is bold, whether it is the right one or not.
    bold = re.findall(r'<td class="best">(?:<span class="tick">✓</span> )?(0\.[346][1-4]\d*)', page)
    assert bold == ["0.420", "0.610", "0.440", "0.640"]


def test_a_newcomer_sees_a_pair_before_any_table_and_each_kind_of_sibling_on_demand(tmp_path):
    write_run(tmp_path / "run", a_run.results() | a_run.told_apart())
    report(tmp_path / "run")
    motion = (tmp_path / "run" / "report.html").read_text().split("<h2>Motion</h2>")[1]
    motion = motion.split("</section>")[0]
    seen, hidden = motion.split("<details>")
    wanted = "Which of the two?", "Scores of captions", "a motion or an order", "something else"
    places = [seen.index(words) for words in wanted]
    assert places == sorted(places)
    for kind in ("colour", "slide"):
        assert f'<th scope="row">{kind}</th>' in hidden and f">{kind}<" not in seen


def test_a_run_whose_source_tells_of_no_motion_has_no_such_section(sweep):
    report(sweep)
    assert "<h2>Motion</h2>" not in (sweep / "report.html").read_text()


def test_the_page_needs_nothing_else(sweep):
    report(sweep)
    page = (sweep / "report.html").read_text()
    outline = Outline(page)
    for _, attributes in outline.tags:
        assert not {"href", "style", "srcset"} & attributes.keys()
        assert attributes.get("src", "data:image/jpeg;base64,").startswith(
            "data:image/jpeg;base64,"
        )
    assert "url(" not in page and "@import" not in page
    policy = next(
        attributes["content"]
        for tag, attributes in outline.tags
        if tag == "meta" and attributes.get("http-equiv") == "Content-Security-Policy"
    )
    assert policy.startswith("default-src 'none'; img-src data:; style-src 'sha256-")
    images = [attributes for tag, attributes in outline.tags if tag == "img"]
    assert len(images) >= 12 + 2 * 4 + 10 * len(RANKS)
    assert all(image["alt"] for image in images)
    assert all(
        (tag != "svg") or a.get("role") == "img" or "aria-hidden" in a for tag, a in outline.tags
    )


def test_right_results_are_marked_in_words(sweep):
    report(sweep)
    page = (sweep / "report.html").read_text()
    marked = re.findall(r'<li class="right">.*?</li>', page, flags=re.S)
    # One for each list in which the right video is among the five.
    assert len(marked) == sum((before <= 5) + (after <= 5) for before, after in RANKS)
    assert all("✓ right" in one for one in marked)
    assert page.count("in neither list") == sum(min(ranks) > 5 for ranks in RANKS) * 2  # and alt
    shown = text_of(page)
    assert "rank 41 → 1" in shown and "rank 60 → 60" in shown
    for words in ("143 of 512 queries", "61 of 512", "52 of 512", "256 of 512"):
        assert words in shown


def test_the_sample_of_queries_follows_the_order_of_the_file(sweep):
    path = sweep / "animated" / "rankings" / "rankings.json"
    listing = json.loads(path.read_text())
    listing["queries"] = [
        query | {"caption": f"caption {n}", "coarse_rank": 9, "reranked_rank": 2}
        for n, query in enumerate(listing["queries"])
    ]
    path.write_text(json.dumps(listing))
    report(sweep)
    page = (sweep / "report.html").read_text()
    assert re.findall(r"<h4[^>]*>(caption \d+)", page) == [f"caption {n}" for n in range(4)]
    assert "The first 4 queries of each group" in page


def test_what_makes_numbers_incomparable_is_said(tmp_path):
    run = a_run.results() | {
        "normalization": "dsl",
        "coverage": {"wanted": 1000, "found": 987},
    }
    write_run(tmp_path / "run", run)
    stages = dict.fromkeys(results.STAGES, np.ones(512, int))
    write_ranks(tmp_path / "run", np.zeros(512), dict.fromkeys(results.DIRECTIONS, stages))
    found = report(tmp_path / "run")
    shown = text_of((tmp_path / "run" / "report.html").read_text())
    for text in (shown, table(found)):
        assert "PART OF THE SET: 987 of 1,000 videos (98.7%), not comparable" in text
        assert "coarse DSL" in text and "all test queries at once" in text
    assert "protocol drawn, test" in shown and "exact stage one" in shown
    assert "0 queries better, 0 worse" in shown
    assert not caveats(a_run.results())


def test_the_arms_say_in_what_they_differ(sweep):
    report(sweep)
    shown = text_of((sweep / "report.html").read_text())
    assert "The whole picture, the same in every frame." in shown
    assert "Differs from the main arm in animation.preset = still (animated: full)." in shown
    results.write(sweep / "still" / "results.json", a_run.results("still") | {"steps": 500})
    report(sweep)
    shown = text_of((sweep / "report.html").read_text())
    assert "steps = 500 (animated: 600)" in shown


def test_large_pictures_are_made_to_fit(tmp_path, monkeypatch):
    monkeypatch.setattr(report_pictures, "BUDGET", 400_000)
    write_run(tmp_path / "run", a_run.results(), side=224)
    report(tmp_path / "run")
    assert 50_000 < (tmp_path / "run" / "report.html").stat().st_size < 450_000


MEASURE = ROOT / "tests" / "programs" / "measure.html"


@pytest.mark.slow
@pytest.mark.browser
def test_in_a_browser_nothing_overflows_and_no_picture_is_broken(tmp_path):
    browser = shutil.which("chromium") or shutil.which("chromium-browser")
    if browser is None:
        pytest.skip("no chromium on PATH")
    for arm, preset in (("main", "full"), ("w" * 60, "repeat")):
        run = a_run.results(preset) | {"dataset": "folder:/" + "long" * 40}
        write_run(tmp_path / "s" / arm, run, "x" * 50 + " " + HOSTILE.replace("/", "|"))
    report(tmp_path / "s", "main")
    text = json.dumps((tmp_path / "s" / "report.html").read_text()).replace("</", "<\\/")
    (tmp_path / "measure.html").write_text(MEASURE.read_text().replace("REPORT", text))
    flags = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-sync"
    flags += " --disable-background-networking --disable-component-update --window-size=1400,1000"
    command = [browser, *flags.split(), f"--user-data-dir={tmp_path / 'profile'}"]
    command += ["--dump-dom", f"file://{tmp_path}/measure.html"]
    dom = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
    title = re.search(r"<title>(.*?)</title>", dom)
    assert title, "the page was not measured"
    measured = json.loads(html.unescape(title[1]))
    assert sorted(one["width"] for one in measured) == [400, 1280]
    for one in measured:
        assert one["styled"] == "1180px"  # the policy lets the page's own style through
        assert one["images"] > 100 and one["broken"] == 0
        assert one["scroll"] <= one["inner"]
        assert one["inner"] > one["width"] - 40 and one["tallest"] < 500
