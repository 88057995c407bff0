"""The charts of a report, read back from their SVG."""

import json
import re

import numpy as np
import pytest
from markupsafe import Markup

from animclip_jax.reporting import words as report_words
from animclip_jax.reporting.arms import load_arm
from animclip_jax.reporting.charts import curves, k_sweep, rank_changes, smoothed
from animclip_jax.reporting.report import report
from animclip_jax.reporting.svg import element
from tests import a_run
from tests.reported import Outline, text_of, write_run


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


def test_curves_choose_their_scale_and_leave_out_what_is_not_finite(tmp_path):
    write_run(tmp_path / "run", a_run.results())
    arm = load_arm(tmp_path / "run", "", a_run.results())
    assert "log scale" in curves([arm], "loss") and "linear scale" in curves([arm], "matching")
    assert (30, None) in arm.curves["loss"]
    report(tmp_path / "run")
    assert (
        "Left out because they were not finite: loss: 1"
        in (tmp_path / "run" / "report.html").read_text()
    )


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
    assert "One step was logged." in page and "Faint: the logged" not in page
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


def test_elements_escape_what_is_not_marked_as_markup():
    assert element("p", "<b>", Markup("<i>"), title='"<', class_="x", id="") == (
        '<p title="&#34;&lt;" class="x">&lt;b&gt;<i></p>'
    )
    assert (
        element("line", x1=1.0, stroke_width=2.3456) == '<line x1="1" stroke-width="2.35"></line>'
    )
