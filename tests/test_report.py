"""The report: of a run or a sweep, honest in words, safe with hostile texts, seen in a browser."""

import html
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest
from markupsafe import Markup
from PIL import Image

from animclip_jax.animation.contact_sheet import strip, write_samples
from animclip_jax.evaluation import results
from animclip_jax.evaluation.comparison import write_ranks
from animclip_jax.evaluation.table import caveats, table
from animclip_jax.report import main
from animclip_jax.reporting import pictures as report_pictures
from animclip_jax.reporting import words as report_words
from animclip_jax.reporting.arms import load_arm
from animclip_jax.reporting.charts import curves, k_sweep, rank_changes, smoothed
from animclip_jax.reporting.report import report
from animclip_jax.reporting.svg import element
from tests import a_run

HOSTILE = """</h4><script>alert("1")</script> & 'x' "><img src=x onerror=alert(2)>"""
# Of the right video before and after re-ranking, three of each group of queries.
RANKS = [(7, 1), (3, 2), (41, 1), (1, 4), (2, 9), (5, 6)] + [(1, 1)] * 3 + [(60, 60)] * 3
FRAMES, SIDE = 4, 24


def clip(seed):
    return np.random.default_rng(seed).integers(0, 255, (FRAMES, SIDE, SIDE, 3), np.uint8)


def write_run(folder, run, text="a red ball", side=SIDE):
    """A run's folder as training and evaluation leave it; `text` is in its captions and ids."""
    folder.mkdir(parents=True)
    results.write(folder / "results.json", run)
    entries = [
        {"step": s, "loss": None if s == 30 else 5.0 / s, "matching": 0.7} for s in range(10, 200)
    ]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    clips = np.stack([clip(seed) for seed in range(6)])
    write_samples(folder, list(clips[:, 0]), clips, [f"{text} {n}" for n in range(6)])
    queries, videos = [], {f"{text}/{n}" for n in range(12, 17)}
    for number, (before, after) in enumerate(RANKS):
        target = f"{text}/{number}"
        videos.add(target)
        query: dict[str, Any] = {"caption": f"{text} {number}", "target": target}
        for stage, rank in (("coarse", before), ("reranked", after)):
            found = [f"{text}/{n}" for n in range(12, 17)]
            if rank <= 5:
                found[rank - 1] = target
            query[stage] = [{"id": one, "score": 0.5} for one in found]
            query[f"{stage}_rank"] = rank
        queries.append(query)
    (folder / "rankings").mkdir()
    strips = {
        video: {"file": f"{n}.jpg", "frames": FRAMES, "side": side}
        for n, video in enumerate(sorted(videos))
    }
    for seed, one in enumerate(strips.values()):
        picture = strip(clip(seed)).resize((side * FRAMES + 2 * (FRAMES - 1), side))
        picture.save(folder / "rankings" / one["file"])
    counts = {"helped": 143, "hurt": 61, "right": 52, "missed": 256}
    listing = {"queries": queries, "counts": counts, "strips": strips}
    (folder / "rankings" / "rankings.json").write_text(json.dumps(listing))


@pytest.fixture
def sweep(tmp_path):
    folder = tmp_path / "sweep"
    write_run(folder / "animated", a_run.results())
    write_run(folder / "repeat", a_run.results("repeat", 8.0, 9.0))
    write_run(folder / "still", a_run.results("still", 9.0, 17.0))
    return folder


def text_of(page):
    """What a reader sees, pictures' data left out."""
    shown = html.unescape(re.sub(r"<style>.*?</style>|<[^>]*>", " ", page, flags=re.S))
    return re.sub(r"\s+", " ", shown)


class Outline(HTMLParser):
    """Tags and attributes of a page; fails where tags are not closed in order."""

    def __init__(self, page):
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple] = []
        self.feed(page)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "img", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


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
        ("rankings/0.jpg", None, r"0\.jpg is no readable picture"),
        ("rankings/0.jpg", b"GIF89a rubbish", r"0\.jpg is no readable picture"),
        ("rankings/rankings.json", b'{"queries": [{}], "strips": {}}', "KeyError: 'caption'"),
        ("samples/samples.json", b"[3]", r"samples\.json: found another layout"),
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
    assert "the first 4 of each group" in page


def arms_with(*first_places, count=512):
    arms = []
    for number, (coarse, reranked) in enumerate(first_places):
        run = a_run.results(coarse=coarse, reranked=reranked) | {"num_queries": count}
        arms.append(report_words.Arm(f"arm{number}", run, {}, [], None))
    return arms


@pytest.mark.parametrize(
    ("first_places", "words"),
    [
        ([(10.0, 20.0), (8.0, 9.0)], "raised that from 10.0%; it is above “arm1” (9.0%)."),
        ([(10.0, 20.0), (8.0, 20.0)], "it is not above “arm1” (20.0%)."),
        (
            [(10.0, 20.0), (8.0, 9.0), (8.0, 30.0)],
            "it is above “arm1” (9.0%), but not above “arm2” (30.0%).",
        ),
        ([(10.0, 20.0), (9.0, 19.5)], "above “arm1” (19.5%, not a significant difference)."),
        ([(10.0, 9.0)], "re-ranking the best 20 candidates did not help: it lowered that from 10"),
        ([(10.0, 10.0)], "re-ranking the best 20 candidates did not change that."),
        ([(10.0, 11.0)], "raised that from 10.0%, not a significant difference."),
    ],
)
def test_the_summary_claims_no_more_than_the_numbers(first_places, words):
    summary = report_words.summary(arms_with(*first_places))
    assert words in summary
    assert summary.count(". ") == 0  # one sentence


def test_findings():
    arms = arms_with((10.0, 20.0), (9.0, 8.0), (12.0, 20.0))
    verdicts = [finding.verdict for finding in report_words.findings(arms)]
    assert verdicts == ["above", "above", "unclear", "above", "not above", "not above"]
    # The same difference counts for more where it was seen on more queries.
    assert report_words.findings(arms_with((0.2, 20.0)))[0].verdict == "not above"
    more = report_words.findings(arms_with((10.0, 20.0), (9.0, 8.0), count=50_000))
    assert [finding.verdict for finding in more] == ["above"] * 4


def test_arms_that_kept_their_ranks_are_compared_query_by_query():
    """A gain on 1 query of 50 is within the margin; where nothing else was lost it is a gain."""
    arms = arms_with((10.0, 12.0), (10.0, 10.0))
    before = np.where(np.arange(512) < 51, 1, 9)
    ahead = np.where(np.arange(512) < 61, 1, 9)
    shuffled = np.random.default_rng(0).permutation(ahead)
    assert [found.verdict for found in report_words.findings(arms)][1::2] == ["unclear"] * 2
    for after, verdict in ((ahead, "above"), (shuffled, "unclear")):
        ranks = {"text_to_video/coarse": before, "text_to_video/reranked": before}
        ranks["owner"] = np.arange(512)
        kept = [arms[0]._replace(ranks=ranks | {"text_to_video/reranked": after})]
        kept.append(arms[1]._replace(ranks=ranks))
        assert [found.verdict for found in report_words.findings(kept)][1::2] == [verdict] * 2
        doubts = report_words.summary(kept).count("not a significant difference")
        assert doubts == 2 * (verdict == "unclear")


def test_margin():
    assert report_words.margin(50.0, 50.0, 200) == pytest.approx(9.8)


def test_the_sweep_over_k_says_rate_and_time():
    chart = k_sweep(a_run.results(), "text_to_video")
    Outline(chart)
    said = text_of(chart)
    assert "K = 5: 18.0% in 0.5 ms, K = 10: 18.0% in 1 ms, K = 20: 18.0% in 2 ms" in said
    assert "before it 10.0%" in said
    heights = [float(place) for place in re.findall(r"[ML][\d.]+ ([\d.]+)", chart)]
    assert heights and all(20 <= height <= 190 for height in heights)


def test_rank_changes_count_every_query_once():
    coarse = np.array([1, 1, 2, 30, 3000, 7, 8])
    reranked = np.array([1, 2, 1, 4, 3000, 6, 9])
    chart = rank_changes(coarse, reranked)
    Outline(chart)
    assert "3 queries better, 2 worse" in chart
    assert [chart.count(f'class="{kind}"') for kind in ("same", "better", "worse")] == [3, 2, 1]
    place = r'x="([\d.]+)" y="([\d.]+)" width="([\d.]+)"'
    boxes = re.findall(rf'<rect class="[a-z]+" fill-opacity="[\d.]+" {place}', chart)
    # Better is above the diagonal: its rank before is further right than that after is down.
    assert len(boxes) == 6
    right = [float(x) + float(w) / 2 - 64 > float(y) + float(w) / 2 - 44 for x, y, w in boxes]
    assert sum(right) == 2


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
    assert "protocol drawn, test" in shown and "stage one exact" in shown
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


def test_curves_choose_their_scale_and_leave_out_what_is_not_finite(tmp_path):
    write_run(tmp_path / "run", a_run.results())
    arm = load_arm(tmp_path / "run", "", a_run.results())
    assert "log scale" in curves([arm], "loss") and "linear scale" in curves([arm], "matching")
    assert (30, None) in arm.curves["loss"]
    report(tmp_path / "run")
    assert "Left out, not finite: loss: 1" in (tmp_path / "run" / "report.html").read_text()


@pytest.mark.parametrize("values", [[0.0, 0.0], [-3.0, 7.0], [1e-9, 1e9], [5.0, 5.0]])
def test_curves_of_any_range_stay_in_the_picture(values):
    arm = report_words.Arm("", a_run.results(), {"loss": list(enumerate(values))}, [], None)
    chart = curves([arm], "loss")
    places = re.findall(r"(-?[\d.]+) (-?[\d.]+)(?=[L \"])", "".join(re.findall(r'd="M.*?"', chart)))
    assert places and all(0 <= float(x) <= 370 and 0 <= float(y) <= 280 for x, y in places)


@pytest.mark.parametrize("value", [4.60517019, 0.0, 1234567.8, 3.2e-6, -2.5])
def test_one_logged_step_is_a_dot_with_its_value(tmp_path, value):
    write_run(tmp_path / "run", a_run.results())
    line = json.dumps({"step": 3, "loss": value}) + "\n"
    (tmp_path / "run" / "metrics.jsonl").write_text(line)
    report(tmp_path / "run")
    page = (tmp_path / "run" / "report.html").read_text()
    assert "One step was logged." in page and "Faint: as logged" not in page
    chart = curves([load_arm(tmp_path / "run", "", a_run.results())], "loss")
    ((across, down, radius),) = re.findall(r'<circle.* cx="(.*?)" cy="(.*?)" r="(.*?)"', chart)
    assert float(radius) >= 3 and 30 < float(down) < 234 and float(across) <= 370
    assert f">{value:.4g}</text>" in chart


@pytest.mark.parametrize("values", [[9.163421], [4.6052, 4.6051], [1e-10, 0.0], [123456.7, 1.5e5]])
def test_the_labels_of_curves_are_whole(values):
    arm = report_words.Arm("", a_run.results(), {"loss": list(enumerate(values))}, [], None)
    chart = curves([arm], "loss")
    labels = re.findall(r'<text x="([\d.]+)" y="[\d.]+" class="small end">([^<]*)<', chart)
    ticks = [(float(x), text) for x, text in labels if "scale" not in text and float(x) < 200]
    assert len(ticks) > 1 and all(7 * len(text) <= x for x, text in ticks), ticks


def test_smoothing_keeps_a_constant_and_a_line():
    assert smoothed([(s, 2.0) for s in range(50)]) == [(s, 2.0) for s in range(50)]
    middle = smoothed([(s, float(s)) for s in range(101)])[50]
    assert middle == (50, 50.0)


def test_large_pictures_are_made_to_fit(tmp_path, monkeypatch):
    monkeypatch.setattr(report_pictures, "BUDGET", 400_000)
    write_run(tmp_path / "run", a_run.results(), side=224)
    report(tmp_path / "run")
    assert 50_000 < (tmp_path / "run" / "report.html").stat().st_size < 450_000


def test_elements_escape_what_is_not_marked_as_markup():
    assert element("p", "<b>", Markup("<i>"), title='"<', class_="x", id="") == (
        '<p title="&#34;&lt;" class="x">&lt;b&gt;<i></p>'
    )
    assert (
        element("line", x1=1.0, stroke_width=2.3456) == '<line x1="1" stroke-width="2.35"></line>'
    )


MEASURE = """<!doctype html><body><script>
const report = %s;
const found = [];
for (const width of [1280, 400]) {
  const frame = document.createElement("iframe");
  frame.width = width;
  frame.height = 900;
  frame.srcdoc = report;
  // A frame's load waits for its pictures, and this page's load, when it is dumped, for its frames.
  frame.onload = () => {
    const page = frame.contentDocument, root = page.documentElement;
    found.push({
      width, inner: root.clientWidth, scroll: root.scrollWidth, images: page.images.length,
      broken: [...page.images].filter(image => !image.naturalWidth).length,
      styled: frame.contentWindow.getComputedStyle(page.querySelector("main")).maxWidth,
      tallest: Math.max(...[...page.images].map(image => image.height)),
    });
    if (found.length == 2) document.title = JSON.stringify(found);
  };
  document.body.append(frame);
}
</script>"""


@pytest.mark.slow
def test_in_a_browser_nothing_overflows_and_no_picture_is_broken(tmp_path):
    browser = shutil.which("chromium") or shutil.which("chromium-browser")
    if browser is None:
        pytest.skip("no chromium on PATH")
    for arm, preset in (("main", "full"), ("w" * 60, "repeat")):
        run = a_run.results(preset) | {"dataset": "folder:/" + "long" * 40}
        write_run(tmp_path / "s" / arm, run, "x" * 50 + " " + HOSTILE.replace("/", "|"))
    report(tmp_path / "s", "main")
    text = json.dumps((tmp_path / "s" / "report.html").read_text()).replace("</", "<\\/")
    (tmp_path / "measure.html").write_text(MEASURE % text)
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
