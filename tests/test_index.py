"""`animclip index` as a person runs it."""

import contextlib
import subprocess

import pytest

from animclip_jax import index, search
from animclip_jax.models.clip import ClipConfig
from animclip_jax.video_index.effort import Effort
from animclip_jax.weights import folder, hub
from input_pipeline.media import engines
from tests import processes, searchable
from tests.in_process import InProcess


def run(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    return processes.run(
        processes.without(processes.TENSORFLOW, "animclip_jax", *arguments), **environment
    )


def test_index_and_search_without_tensorflow(search_model_path, tmp_path):
    videos = searchable.write_videos(tmp_path / "videos")
    (videos / "broken.mp4").write_bytes(b"nothing")
    out = tmp_path / "index"
    made = run("index", videos, "--model", search_model_path, "--out", out, "--processes=2")
    assert made.returncode == 0, made.stderr
    assert "5 videos in 8 segments; this time 5 indexed, 0 unchanged, 0 removed" in made.stdout
    assert f"1 can't be read, listed in {out / 'quarantine.jsonl'}" in made.stdout
    assert "coarse only" not in made.stdout
    found = run("search", out, "a white block", "-n3")
    assert found.returncode == 0, found.stderr
    heading, *lines = found.stdout.splitlines()
    assert heading.split() == ["rank", "before", "reranked", "coarse", "moment"]
    assert [line.split()[0] for line in lines] == ["1", "2", "3"]


def test_limits_of_a_file_reach_those_who_read_it(search_model_path, tmp_path, monkeypatch):
    class Begun(Exception):
        """Instead of indexing."""

    def begin(*given: object, **more: object) -> None:
        raise Begun(*given)

    monkeypatch.setattr(index, "update", begin)
    videos = searchable.write_videos(tmp_path / "videos")
    line = [str(videos), "--model", str(search_model_path), "--out", str(tmp_path / "index")]
    with pytest.raises(Begun) as begun:
        index.main([*line, "--time-limit=7", "--memory-limit=2"])
    (effort,) = (one for one in begun.value.args if isinstance(one, Effort))
    assert (effort.limits.seconds, effort.limits.gibibytes) == (7, 2)


@pytest.mark.parametrize("limit", ["--time-limit=0", "--time-limit=nan", "--memory-limit=inf"])
def test_a_limit_that_no_file_keeps_ends_it_before_anything_is_read(tmp_path, capsys, limit):
    videos = searchable.write_videos(tmp_path / "videos")
    assert index.main([str(videos), "--out", str(tmp_path / "index"), "--model=none", limit]) == 1
    assert "limit " in capsys.readouterr().err and not (tmp_path / "index").exists()


def test_converted_weights_say_that_they_search_coarsely(tmp_path, capsys):
    model = searchable.write_converted(tmp_path / "model")
    videos = searchable.write_videos(tmp_path / "videos")
    assert index.main([str(videos), f"--model={model}", f"--out={tmp_path / 'index'}"]) == 0
    assert "no re-ranker: searches of this index are coarse only" in capsys.readouterr().out
    assert not list(tmp_path.glob("index/shards/*/code*")), "no codes that nothing would read"


def test_a_published_model_is_taken_by_its_name(tmp_path, monkeypatch, capsys):
    """Downloaded from what stands in for the Hub once, converted, and found again without it."""
    name = "openai/clip-vit-base-patch32"
    params, config = folder.load(searchable.write_converted(tmp_path / "clip"))
    assert isinstance(config, ClipConfig)
    (tmp_path / "hub").mkdir()
    folder.write_hugging_face(tmp_path / "hub", params, config)
    downloads = []

    def download(repository, revision):
        assert revision is None
        downloads.append(repository)
        return hub.Download(tmp_path / "hub", hub.REVISIONS[repository])

    monkeypatch.setattr(hub, "download", download)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    videos = searchable.write_videos(tmp_path / "videos")
    command = [str(videos), f"--model={name}", f"--out={tmp_path / 'index'}"]
    for _ in range(2):
        assert index.main(command) == 0
        assert f"{name} has no re-ranker" in capsys.readouterr().out
    assert downloads == [name]
    (kept,) = (tmp_path / "home" / ".cache" / "animclip" / "weights").glob("[!.]*")
    origin = {"repository": name, "commit": hub.REVISIONS[name]}
    folder.save(tmp_path / "same", params, config, origin)
    assert (kept / "config.json").read_bytes() == (tmp_path / "same" / "config.json").read_bytes()
    assert search.main([str(tmp_path / "index"), "a block", f"--model={name}"]) == 0
    assert search.main([str(tmp_path / "index"), "a block"]) == 0


def test_without_a_network_a_published_model_is_refused_in_words(tmp_path):
    (tmp_path / "videos").mkdir()
    made = run(
        *("index", tmp_path / "videos", "--model=openai/clip-vit-base-patch32"),
        *("--out", tmp_path / "index"),
        HF_ENDPOINT="http://127.0.0.1:9",  # Nobody listens there.
        HOME=str(tmp_path),
        HF_HOME=str(tmp_path),
    )
    assert made.returncode == 1
    assert "animclip index: openai/clip-vit-base-patch32" in made.stderr
    assert "can't be downloaded" in made.stderr and "Traceback" not in made.stderr
    assert "Without a network" in made.stderr and "animclip convert" in made.stderr
    assert not (tmp_path / "index").exists()
    assert not list(tmp_path.glob(".cache/animclip/weights/[!.]*"))


def test_parts_are_merged(search_model_path, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(engines, "opened", lambda name: contextlib.nullcontext(InProcess()))
    videos, out = searchable.write_videos(tmp_path / "videos"), tmp_path / "index"
    words = [str(videos), f"--model={search_model_path}", f"--out={out}"]
    for number in (1, 2):
        assert index.main([*words, f"--part={number}/2"]) == 0
        assert f"{out}.part-{number}-of-2: " in capsys.readouterr().out
    assert index.main([*words, "--merge=2"]) == 0
    told = f"{out}: 5 videos in 8 segments; this time 0 indexed, 5 unchanged, 0 removed"
    assert told in capsys.readouterr().out
    assert index.main([*words, "--merge=2"]) == 1
    told = capsys.readouterr().err
    assert "already there; without --merge" in told and told.count("\n") == 1


@pytest.mark.parametrize(
    "wrong, told",
    [
        (["--part=0/2"], "found '0/2', wanted I/N"),
        (["--part=1/2", "--merge=2"], "--part, --merge and --watch: wanted one of them"),
        (["--part=1/2", "--watch"], "--part, --merge and --watch: wanted one of them"),
        (["--part=1/2", "--to=parquet:x"], "an index is published when its parts are merged"),
    ],
)
def test_options_that_exclude_each_other_are_told(tmp_path, capsys, wrong, told):
    with pytest.raises(SystemExit):
        index.main([str(tmp_path), "--model=m", "--out=o", *wrong])
    assert told in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments, told",
    [
        (["none", "--model=MODEL", "--out=out"], "none: no folder of videos"),
        (["videos", "--model=none", "--out=out"], "none"),
        (["videos", "--model=MODEL", "--out=out", "--window=1"], "wanted 2 to 600 seconds"),
        (
            ["videos", "--model=MODEL", "--out=videos"],
            "videos: holds something other than an index",
        ),
    ],
)
def test_mistakes_are_told_in_a_line(
    search_model_path, tmp_path, monkeypatch, capsys, arguments, told
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos" / "a.mp4").touch()
    given = [text.replace("MODEL", str(search_model_path)) for text in arguments]
    assert index.main(given) == 1
    error = capsys.readouterr().err
    assert error.startswith("animclip index: ") and error.count("\n") == 1 and told in error
    assert not (tmp_path / "out" / "catalogue.json").exists()
