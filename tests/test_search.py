"""`animclip search` as a person runs it."""

import json
import sys
from pathlib import Path

import pytest
from PIL import Image

from animclip_jax import index, search
from animclip_jax.serving import app, guard
from animclip_jax.video_index.open import COARSE_ONLY, open_index
from animclip_jax.words import clock, readable
from tests import asked, processes, searchable


@pytest.fixture
def ask(indexed, capsys):
    def run(*arguments, code=0):
        assert search.main([str(indexed), *map(str, arguments)]) == code
        captured = capsys.readouterr()
        return captured.err if code else captured.out

    return run


def test_json_tells_both_stages(ask):
    told = json.loads(ask("a block", "--json", "-n4"))
    assert told["stage"] == "reranked" and told["reranks"] is True
    assert set(told["milliseconds"]) == {"encode", "coarse", "rerank"}
    assert [one["rank"] for one in told["results"]] == [1, 2, 3, 4]
    for one in told["results"]:
        assert 0 <= one["start"] < one["end"] and 1 <= one["coarse_rank"] <= 8
        assert isinstance(one["coarse"], float) and isinstance(one["reranked"], float)
    coarse = json.loads(ask("a block", "--json", "--coarse-only"))
    assert coarse["stage"] == "coarse"
    assert all(one["reranked"] is None for one in coarse["results"])


def test_by_picture_and_by_video(ask, indexed, tmp_path):
    Image.new("RGB", (64, 48), searchable.RED).save(tmp_path / "red.png")
    told = json.loads(ask("--image", tmp_path / "red.png", "--json"))
    assert told["stage"] == "coarse" and len(told["results"]) == 6
    text = ask("--video", indexed.parent / "videos" / "red.mp4", "-n1")
    heading, line = text.splitlines()
    assert heading.split() == ["rank", "coarse", "moment"]
    assert line.split() == ["1", "1.000", "red.mp4", "0:00.0-0:02.0"]


def test_sentences_pictures_and_moments_together(ask, indexed, tmp_path):
    Image.new("RGB", (64, 48), searchable.RED).save(tmp_path / "red.png")
    like = f"--like={tmp_path / 'red.png'}^0.5"
    line = (
        "a block -water",
        "--without=a red card",
        like,
        "--unlike=below/blue.gif@1^90",
        "--json",
    )
    told = json.loads(ask(*line))
    assert told["stage"] == "reranked" and told["results"][-1]["video"] == "below/blue.gif"
    moment = json.loads(ask("--like=long.mp4@17", "--json", "-n1"))["results"][0]
    assert (moment["video"], moment["start"] > 16) == ("long.mp4", True)
    assert moment["coarse"] == pytest.approx(1, abs=1e-5) and moment["id"].endswith("-2")
    assert "not in this index" in ask("--like=none.mp4@3", code=1)
    assert "wanted 1 to 8" in ask("a -b -c -d -e -f -g -h -i", code=1)


def test_coarse_only_weights_say_so(tmp_path, capsys):
    model = searchable.write_converted(tmp_path / "model")
    videos = searchable.write_videos(tmp_path / "videos")
    assert index.main([str(videos), f"--model={model}", f"--out={tmp_path / 'index'}"]) == 0
    capsys.readouterr()
    assert search.main([str(tmp_path / "index"), "a block"]) == 0
    text = capsys.readouterr().out
    assert text.startswith(COARSE_ONLY) and "reranked" not in text
    assert search.main([str(tmp_path / "index"), "a block", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["stage"] == "coarse" and told["reranks"] is False
    # The model has moved.
    model.rename(tmp_path / "moved")
    assert search.main([str(tmp_path / "index"), "a block"]) == 1
    assert "--model says where it is now" in capsys.readouterr().err
    where = f"--model={tmp_path / 'moved'}"
    assert search.main([str(tmp_path / "index"), "a block", where]) == 0


def test_a_model_that_has_seen_drawn_scenes_alone_says_so(tmp_path, capsys):
    origin = {"steps": 5, "trained_on": ["drawn:train"]}
    model = searchable.write_model(tmp_path / "model", origin=origin)
    videos = searchable.write_videos(tmp_path / "videos")
    where = str(tmp_path / "index")
    assert index.main([str(videos), f"--model={model}", f"--out={where}"]) == 0
    assert "trained on drawn scenes alone" in capsys.readouterr().out
    assert search.main([where, "a block"]) == 0
    assert capsys.readouterr().out.startswith("this model was trained on drawn scenes alone")
    assert search.main([where, "a block", "--json"]) == 0
    assert "drawn scenes alone" in json.loads(capsys.readouterr().out)["note"]
    guarded = guard.Guard(app.make_app(open_index(Path(where), None, 50)))
    for path in ("/api/index", "/api/search?q=a+block"):
        assert "drawn scenes alone" in asked.ask(guarded, path).json["note"]


def test_mistakes_are_told_in_a_line(ask, indexed, tmp_path):
    (tmp_path / "no.png").write_bytes(b"no picture")
    said = ask("--image", tmp_path / "no.png", code=1)
    assert "no.png: can't be decoded: cannot identify it as a picture" in said
    assert "none.png: no such file" in ask("--image", tmp_path / "none.png", code=1)
    assert "no.png: can't be decoded as a video" in ask("--video", tmp_path / "no.png", code=1)
    other = searchable.write_model(tmp_path / "other", seed=1)
    error = ask("a block", f"--model={other}", code=1)
    assert "was made with another model" in error and error.count("\n") == 1
    for wrong in ([], ["a", "-n0"], ["a", "-n51"], ["a", "--without= "], ["a^0"]):
        with pytest.raises(SystemExit) as refused:
            search.main([str(indexed), *wrong])
        assert refused.value.code == 2


def test_times_for_people():
    told = [clock(seconds) for seconds in (0, 59.96, 61.25, 3599.96, 36000.04)]
    assert told == ["0:00.0", "1:00.0", "1:01.2", "1:00:00.0", "10:00:00.0"]


def test_names_that_are_no_text_are_shown():
    assert readable("a\udcff.mp4") == "a\ufffd.mp4"


def test_a_sentence_needs_no_video_codec():
    program = (
        "import sys, animclip_jax.search; sys.exit(bool({'av', 'tensorflow'} & set(sys.modules)))"
    )
    assert processes.run([sys.executable, "-c", program]).returncode == 0
