"""Exports: the tools of editors and spreadsheets read back what was written."""

import csv
import io
import json
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import opentimelineio
import pytest
from PIL import Image

from animclip_jax import search
from animclip_jax.serving import app, guard
from animclip_jax.video_index import catalogue as catalogues
from animclip_jax.video_index import moments, timelines
from animclip_jax.video_index.open import open_index
from animclip_jax.video_index.ranking import Moment, Span
from animclip_jax.video_index.timecode import may_drop
from animclip_jax.video_index.timelines import Clip
from tests import asked, searchable
from tests.searchable import BLUE, GREEN, RED, shot

NTSC = Fraction(30000, 1001)
EDL = "cmx_3600"


def moment(rank: int, video: str, start: float, end: float, **changed) -> Moment:
    spans = (Span("a-0", start, end, 0.25),)
    about = 0.25123456, 3.14159265, "a-0", end == 0, True, None
    one = Moment(rank, 1, video, start, end, *about, f"/films/{video}", start, end, spans)
    return one._replace(**changed)


def clip(
    rank: int, start: float, seconds: float, rate: Fraction | None, timecode: str = ""
) -> Clip:
    one = moment(rank, f"below/film {rank}.mp4", 2 + start, 2 + start + seconds)
    return Clip(one, rate, timecode, start, seconds, 900.0)


def read(text: str, rate: float) -> list:
    """The clips of an EDL, as OpenTimelineIO reads it."""
    found = opentimelineio.adapters.read_from_string(text, EDL, rate=rate)
    return list(found.find_clips())


def in_frames(span) -> tuple[int, int]:
    return round(span.start_time.value), round(span.duration.value)


@pytest.mark.parametrize("rate", [24, 25, 30, 50, 60, 24 * NTSC / 30, NTSC, 2 * NTSC], ids=str)
def test_an_edl_cuts_at_the_frames_that_were_found(rate):
    rate = Fraction(rate)
    some = [clip(1, 0, 4.0, rate), clip(2, 100.5, 2.25, rate), clip(3, 7200, 10, rate)]
    text = timelines.edl(some, "a dog")
    found = read(text, float(rate))
    assert [one.name for one in found] == ["film 1.mp4", "film 2.mp4", "film 3.mp4"]
    for one, given in zip(found, some, strict=True):
        start, length = (round(seconds * rate) for seconds in (given.start, given.seconds))
        assert in_frames(one.source_range) == (start, length)
    assert text.startswith("TITLE: a dog\n")
    first = " 01:00:00;00 " if may_drop(rate) else " 01:00:00:00 "
    assert first in text.splitlines()[3] and ("NON-DROP" in text) != may_drop(rate)


def test_an_edl_drops_numbers_where_the_videos_do():
    some = [clip(n, 600.0, 10, NTSC, "01:00:00;00") for n in (1, 2)]
    text = timelines.edl(some, "a dog")
    assert "FCM: DROP FRAME" in text and " 01:10:00;00 01:10:10;00 01:00:00;00 " in text
    first, second = read(text, float(NTSC))
    assert in_frames(first.source_range) == (107892 + 17982, 300)
    assert in_frames(second.source_range) == in_frames(first.source_range)
    for timecode in ("01:00:00:00", ""):
        mixed = timelines.edl([*some, clip(3, 0, 1, NTSC, timecode)], "a dog")
        assert ("NON-DROP" in mixed) == bool(timecode), (
            "numbers on the picture are those of the EDL"
        )
    alone = timelines.edl([clip(1, 600.0, 10, NTSC)], "")
    assert "FCM: DROP FRAME" in alone and " 00:10:00;00 00:10:10;00 " in alone
    assert alone.startswith("TITLE: moments\n")


def test_an_edl_has_the_rate_that_most_of_the_videos_have():
    rates = [Fraction(25), Fraction(24), Fraction(25), None]
    some = [clip(n, 10.0, 2, rate) for n, rate in enumerate(rates, 1)]
    some[1] = some[1]._replace(timecode="10:00:00:12")
    text = timelines.edl(some, "a dog")
    found = read(text, 25)
    assert [in_frames(one.source_range) for one in found] == [
        *((250, 50), (900_262, 50), (250, 50), (250, 50)),
    ]
    assert text.count("* SOURCE RATE: 24") == text.count("SOURCE RATE") == 1
    assert " 10:00:10:12 10:00:12:12 " in text


def test_an_edl_says_where_and_how_good(tmp_path):
    one = clip(1, 0, 4, Fraction(25))
    hostile = moment(2, "a\n999  AX  V  C\x1b.mp4", 0, 4, reranked=None, coarse=-0.25)
    text = timelines.edl([one, one._replace(moment=hostile)], "a\nFCM: DROP FRAME dog" * 9)
    lines = text.splitlines()
    assert "* SOURCE FILE: /films/below/film 1.mp4" in lines
    assert "* LOC: 01:00:00:00 GREEN   rank 1, score 3.1416" in lines
    assert "* LOC: 01:00:04:00 GREEN   rank 2, score -0.25" in lines
    assert sum(line.startswith("0") for line in lines) == 2 and "\x1b" not in text
    assert [line[:3] for line in lines if not line.startswith(("*", "0")) and line] == [
        "TIT",
        "FCM",
    ]
    assert len(lines[0]) <= len("TITLE: ") + timelines.TITLE_LETTERS
    first, second = read(text, 25)
    assert first.markers[0].name == "rank 1, score 3.1416" and second.name.startswith("a\\n999")
    many = timelines.edl([one] * 1000, "a dog")
    assert "\n999  AX" in many and "\n1000  AX" not in many
    assert read(timelines.edl([], "nothing"), 25) == []


def test_otio_holds_the_cuts_the_files_and_the_scores():
    some = [
        clip(1, 10.5, 4.0, Fraction(25)),
        clip(2, 600.0, 2.25, NTSC, "01:00:00;00"),
        clip(3, 0.0, 5.0, None),
        clip(4, 1.0, 1.0, Fraction(2983, 100)),
    ]
    odd = moment(1, "ü #1%.mp4", 12.5, 16.5, path="/films/ü #1%\udcff.mp4")
    some[0] = some[0]._replace(moment=odd)
    text = timelines.otio(some, "a dog")
    timeline = opentimelineio.adapters.read_from_string(text, "otio_json")
    assert timeline.name == "a dog" and len(timeline.video_tracks()) == 1
    found = list(timeline.find_clips())
    assert [one.name for one in found] == ["ü #1%.mp4", "film 2.mp4", "film 3.mp4", "film 4.mp4"]
    cuts = [(one.source_range.start_time.rate, *in_frames(one.source_range)) for one in found]
    assert cuts[0] == (25, 262, 100) and cuts[2] == (25, 0, 125)
    assert cuts[1] == (pytest.approx(float(NTSC)), 107892 + 17982, 67)
    assert cuts[3] == (29.83, 30, 30)
    files = [one.media_reference for one in found]
    assert files[0].target_url == "file:///films/%C3%BC%20%231%25%FF.mp4"
    assert in_frames(files[0].available_range) == (0, 22500)
    assert in_frames(files[1].available_range) == (107892, 26973)
    for one, file in zip(found, files, strict=True):
        whole, cut = file.available_range, one.source_range
        assert whole.start_time <= cut.start_time
        assert cut.end_time_exclusive() <= whole.end_time_exclusive()
        assert one.metadata["animclip"]["reranked"] == 3.1416
        assert one.markers[0].name.endswith("score 3.1416")
        assert one.markers[0].marked_range.start_time == one.source_range.start_time
    again = opentimelineio.adapters.write_to_string(timeline, "otio_json")
    assert opentimelineio.adapters.read_from_string(again, "otio_json").is_equivalent_to(timeline)
    assert not list(
        opentimelineio.adapters.read_from_string(timelines.otio([], ""), "otio_json").find_clips()
    )


def test_a_table_holds_no_formula():
    names = [
        "=1+1.mp4",
        "+a.mp4",
        "-a.mp4",
        "@a.mp4",
        "\t=a.mp4",
        " =a.mp4",
        "＝a.mp4",
        'a "b", c.mp4',
    ]
    said = "=HYPERLINK(0)\nsecond line"
    some = [moment(n, name, 1.5, 3, said=said, coarse=-0.5) for n, name in enumerate(names, 1)]
    text = moments.table(some)
    found = list(csv.DictReader(io.StringIO(text)))
    assert [one["video"] for one in found] == [*(f"'{name}" for name in names[:-1]), names[-1]]
    for one in found:
        assert one["said"] == f"'{said}" and one["path"].startswith("/films/")
        assert (one["coarse"], one["start"], one["segments"]) == ("-0.5", "1.5", "1.5-3")
    assert list(found[0])[:5] == ["rank", "coarse_rank", "video", "start", "end"]


@pytest.mark.parametrize("time", [0, 12, 600, 1234.567, 35999.96, 100000.5])
def test_a_table_has_the_thousandths_of_long_videos_too(time):
    (row,) = csv.DictReader(io.StringIO(moments.table([moment(1, "a.mp4", time, time + 2)])))
    start, end = row["segments"].split("-")
    assert float(start) == time and float(end) == pytest.approx(time + 2, abs=1e-9)
    assert not start.endswith((".", ".0"))


def write_with_timecode(path: Path, rate: Fraction, timecode: str) -> None:
    with av.open(str(path), "w") as file:
        file.metadata["timecode"] = timecode
        stream = file.add_stream("libx264", rate=rate)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for picture in shot(BLUE, 90, seed=5):
            file.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        file.mux(stream.encode(None))


@pytest.fixture(scope="module")
def home(tmp_path_factory, search_model, search_model_path):
    from input_pipeline.media.video import write_video

    home = tmp_path_factory.mktemp("exported")
    videos = home / "videos"
    videos.mkdir()
    write_video(videos / "=25.mp4", np.concatenate([shot(GREEN, 40), shot(RED, 300)]), 25)
    write_with_timecode(videos / "camera.mov", NTSC, "10:00:00;00")
    Image.new("RGB", (64, 48), RED).save(videos / "photo.png")
    searchable.index(videos, home / "index", search_model, search_model_path)
    return home


def test_an_index_knows_rates_and_time_codes(home):
    known = catalogues.read(home / "index").videos
    told = {name: (one.rate, one.timecode) for name, one in known.items()}
    assert told == {
        "=25.mp4": ("25/1", ""),
        "camera.mov": ("30000/1001", "10:00:00;00"),
        "photo.png": ("", ""),
    }


@pytest.fixture
def print_as(home, capsys):
    def run(*options):
        assert search.main([str(home / "index"), "a red block", *options]) == 0
        return capsys.readouterr().out

    return run


def test_the_command_prints_each_format(print_as, home):
    told = json.loads(print_as("--format=json"))
    assert json.loads(print_as("--json"))["results"] == told["results"]
    results = told["results"]
    assert len(results) == 4
    for one in results:
        assert Path(one["path"]) == (home / "videos" / one["video"]).resolve()
        for name in ("start", "end", "scene_start", "scene_end"):
            assert one[name] == round(one[name], 3)
        assert all(one[name] == round(one[name], 4) for name in ("coarse", "reranked"))
    table = list(csv.DictReader(io.StringIO(print_as("--format=csv", "-n2"))))
    assert [one["path"] for one in table] == [one["path"] for one in results[:2]]
    timeline = opentimelineio.adapters.read_from_string(print_as("--format=otio"), "otio_json")
    assert timeline.name == "a red block"
    for clip, one in zip(timeline.find_clips(), results, strict=True):
        assert clip.metadata["animclip"]["id"] == one["id"]
        begin = 36000 * 30 - 1080 if one["video"] == "camera.mov" else 0
        time, length = clip.source_range.start_time, clip.source_range.duration
        assert time.value == begin + round(one["start"] * time.rate)
        seconds = one["end"] - one["start"] or timelines.STILL_SECONDS
        assert length.value == round(seconds * length.rate) > 1
    text = print_as("--format=edl")
    assert len(read(text, 25)) == 4 and "* FROM CLIP NAME: =25.mp4" in text


@pytest.mark.parametrize("format", moments.FORMATS)
def test_the_server_sends_the_same_as_a_file(print_as, home, format):
    guarded = guard.Guard(app.make_app(open_index(home / "index")))
    reply = asked.ask(guarded, f"/api/export?q=a+red+block&n=10&format={format}")
    assert reply.status == 200, reply.body
    assert reply.headers["content-disposition"] == f'attachment; filename="a-red-block.{format}"'
    assert reply.headers["content-type"] == moments.MEDIA_TYPES[format]
    text, wanted = reply.body.decode(), print_as(f"--format={format}")
    if format == "json":
        assert json.loads(text)["results"] == json.loads(wanted)["results"]
    else:
        assert text == wanted


def test_what_the_server_can_not_export_is_told(home):
    guarded = guard.Guard(app.make_app(open_index(home / "index")))
    for wrong in ("q=a", "q=a&format=xml", "format=csv", "q=a&format=csv&n=0", "q=a^0&format=csv"):
        reply = asked.ask(guarded, f"/api/export?{wrong.replace('^', '%5E')}")
        assert reply.status == 400 and set(reply.json) == {"error"}, wrong
    name = asked.ask(guarded, "/api/export?q=%22..%2F%0D%0A%C3%BC%22&format=csv").headers
    assert name["content-disposition"] == 'attachment; filename="moments.csv"'


def test_rates_that_an_older_index_lacks_are_read_from_the_files(home, tmp_path, capsys):
    out = searchable.copied(home / "index", tmp_path / "own")
    path = out / catalogues.CATALOGUE
    document = json.loads(path.read_text())
    before = catalogues.Video._fields.index("continues")
    old = {name: [*fields[: before - 1], 2] for name, fields in document["videos"].items()}
    path.write_text(json.dumps(document | {"videos": old}))
    line = [str(out), "a red block", "--format=edl"]
    assert search.main(line) == 0
    assert "FCM: NON-DROP" in capsys.readouterr().out
    (out.parent / "videos" / "camera.mov").unlink()
    assert search.main(line) == 1
    assert "camera.mov: no such file" in capsys.readouterr().err
    assert search.main([*line[:2], "--format=csv"]) == 0
