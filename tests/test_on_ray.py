"""Preparing and indexing on a Ray cluster of three nodes: as here, whatever is killed."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from animclip_jax import index, prepare
from animclip_jax.video_index import catalogue as catalogues
from animclip_jax.video_index import shards
from input_pipeline.media import engines, on_ray
from input_pipeline.media.indexing import Source, read_file
from input_pipeline.media.segments import SegmentSettings
from input_pipeline.media.video import write_video
from input_pipeline.media.workers import Limits
from tests import processes, searchable
from tests.processes import free_port, program, started, without

FILES = 14


class Cluster(NamedTuple):
    """Three nodes on loopback, of a core each; raylets: their processes, the head's first."""

    address: str
    raylets: list[int]


@pytest.fixture(scope="module")
def nodes() -> Iterator[subprocess.Popen[str]]:
    """The program that starts them. What a test leaves behind of Ray ends with this module."""
    pytest.importorskip("ray", reason="Ray is not installed")
    # In a process without JAX, since it forks.
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with processes.none_left(), started(program("three_nodes"), **pipes) as running:
        yield running


@pytest.fixture
def cluster(nodes) -> Cluster:
    """The same for all tests, of three nodes again where one of them was killed."""
    nodes.stdin.write("\n")
    nodes.stdin.flush()
    line = next(one for one in nodes.stdout if one.startswith("{"))
    return Cluster(**json.loads(line))


def with_captions(home: Path) -> Path:
    """A folder of videos, which can then be prepared, too."""
    lines = [{"video": path.name, "captions": [path.stem]} for path in sorted(home.iterdir())]
    (home / "captions.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return home


@pytest.fixture(scope="module")
def films(tmp_path_factory) -> Path:
    """Videos with captions, one of which is broken."""
    home = tmp_path_factory.mktemp("films")
    for number in range(FILES):
        shot = searchable.shot((9 * number, 128, 200), 24, number)
        write_video(home / f"{number}.mp4", shot, 8)
    (home / "bad.mp4").write_text("<html>404</html>")
    return with_captions(home)


Commands = dict[str, list[str]]


def commands_of(videos: Path, model: Path) -> Commands:
    """By verb: what prepares and indexes a folder, except for --out and --engine."""
    return {
        "prepare": [f"folder:{videos}", "--num-frames=4", "--short-side=32"],
        "index": [str(videos), f"--model={model}", "--batch-size=4", "--processes=3"],
    }


def made_here(commands: Commands, home: Path) -> Path:
    """What they make without Ray, in folders of their names."""
    for verb, run in (("prepare", prepare.main), ("index", index.main)):
        assert run([*commands[verb], f"--out={home / verb}"]) == 0
    return home


@pytest.fixture(scope="module")
def commands(films, search_model_path) -> Commands:
    return commands_of(films, search_model_path)


@pytest.fixture(scope="module")
def here(commands, tmp_path_factory) -> Path:
    return made_here(commands, tmp_path_factory.mktemp("here"))


@contextlib.contextmanager
def running(
    cluster: Cluster, command: list[str], words: list[str], out: Path
) -> Iterator[subprocess.Popen[str]]:
    """The command on the cluster, in a process of its own that ends with the block."""
    line = [*command, *words, f"--out={out}", f"--engine=ray:{cluster.address}"]
    with started(line, stderr=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            process.kill()


PREPARE = [sys.executable, "-m", "animclip_jax.prepare"]
INDEX = [sys.executable, "-m", "animclip_jax.index"]


def ended(process: subprocess.Popen[str]) -> None:
    _, told = process.communicate(timeout=300)
    assert process.returncode == 0, told


def wait_until(
    done: Callable[[], object], process: subprocess.Popen[str], seconds: float = 200.0
) -> None:
    until = time.monotonic() + seconds
    while not done():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until
        time.sleep(0.005)


def workers_of(raylet: int, name: str) -> list[int]:
    """Processes that a node started, by what they do now."""
    found = []
    for worker in processes.below(raylet):
        with contextlib.suppress(OSError):
            if name in Path(f"/proc/{worker}/cmdline").read_text():
                found.append(worker)
    return found


def is_one_killed(cluster: Cluster, name: str) -> bool:
    """Whether there was such a worker, and it was still there to be killed."""
    for raylet in cluster.raylets:
        for worker in workers_of(raylet, name):
            with contextlib.suppress(ProcessLookupError):
                os.kill(worker, signal.SIGKILL)
                return True
    return False


def is_node_killed(cluster: Cluster, *names: str) -> bool:
    """Kills a node with all of its processes, as soon as one of them does one of these things.

    Not the head, on which the command is.
    """
    for raylet in cluster.raylets[1:]:
        if any(workers_of(raylet, name) for name in names):
            for process in (raylet, *processes.below(raylet)):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)
            return True
    return False


def prepared(log: Path) -> list[str]:
    """Ids of the videos that a store in the making holds."""
    lines = log.read_bytes().split(b"\n")[:-1] if log.is_file() else []
    return [json.loads(line)["id"] for line in lines]


@pytest.mark.slow
def test_a_cluster_prepares_as_one_machine_although_the_driver_is_killed(
    cluster, commands, here, tmp_path
):
    """And then a worker."""
    out, log = tmp_path / "store", tmp_path / "store.partial" / "log.jsonl"
    with running(cluster, PREPARE, commands["prepare"], out) as process:
        wait_until(lambda: prepared(log), process)
        process.kill()
    before = prepared(log)
    assert 1 <= len(before) < FILES and not out.exists()
    held = tmp_path / "log.jsonl"
    held.hardlink_to(log)  # The command removes it at its end.
    with running(cluster, PREPARE, commands["prepare"], out) as process:
        wait_until(lambda: is_one_killed(cluster, "ray::_call"), process)
        ended(process)
    assert searchable.bytes_of(out) == searchable.bytes_of(here / "prepare")
    after = prepared(held)
    assert after[: len(before)] == before and sorted(after) == sorted({*after}), "none twice"
    assert len(after) == FILES


@pytest.mark.slow
def test_a_cluster_prepares_as_one_machine_although_a_node_is_killed(
    cluster, commands, here, tmp_path
):
    out = tmp_path / "store"
    with running(cluster, PREPARE, commands["prepare"], out) as process:
        wait_until(lambda: is_node_killed(cluster, "ray::_call"), process)
        assert process.poll() is None and not out.exists(), "in the middle of its work"
        ended(process)
    assert searchable.bytes_of(out) == searchable.bytes_of(here / "prepare")


@pytest.mark.slow
def test_a_cluster_indexes_as_one_machine_although_workers_and_a_node_are_killed(
    cluster, commands, here, tmp_path
):
    """A worker that reads, a node with what it holds, and a worker that encodes."""
    out = tmp_path / "index"
    reads, encodes = "ray::read_in_parts", "ray::_Encoder"
    with running(cluster, INDEX, commands["index"], out) as process:
        wait_until(lambda: is_one_killed(cluster, reads), process)
        wait_until(lambda: is_node_killed(cluster, reads, encodes), process)
        wait_until(lambda: is_one_killed(cluster, encodes), process)
        ended(process)
    assert searchable.bytes_of(out) == searchable.bytes_of(here / "index")
    assert "bad.mp4" in (out / "quarantine.jsonl").read_text()


def videos_of(out: Path) -> dict[str, catalogues.Video]:
    """Those that an index in the making holds."""
    made = (out / catalogues.CATALOGUE).exists()
    return catalogues.read(out).videos if made else {}


@pytest.mark.slow
def test_a_cluster_indexes_as_one_machine_although_the_driver_is_killed(
    cluster, commands, here, tmp_path
):
    """What it had kept stays where it is; the command keeps each video at once, for that."""
    out, command = tmp_path / "index", program("keeps_each")
    with running(cluster, command, commands["index"], out) as process:
        wait_until(lambda: videos_of(out), process)
        process.kill()
    before = videos_of(out)
    assert 1 <= len(before) < FILES
    with running(cluster, command, commands["index"], out) as process:
        ended(process)
    after = videos_of(out)
    assert {name: after[name] for name in before} == before, "none is embedded again"
    assert searchable.contents(out) == searchable.contents(here / "index")
    wanted = (here / "index" / "quarantine.jsonl").read_bytes()
    assert (out / "quarantine.jsonl").read_bytes() == wanted
    used = catalogues.read(out).shards
    assert sorted(path.name for path in (out / shards.SHARDS).iterdir()) == used


@pytest.mark.slow
def test_a_cluster_makes_of_real_videos_what_one_machine_makes(
    cluster, shared_data, search_model_path, tmp_path
):
    """Of odd and broken ones, too."""
    (tmp_path / "films").mkdir()
    real = sorted((shared_data / "vidcap" / "videos").iterdir())[::6]
    odd = sorted(set((shared_data / "oddvideos").iterdir()))
    for path in (*real, *odd):
        if path.suffix != ".jsonl":
            shutil.copy(path, tmp_path / "films")
    films = with_captions(tmp_path / "films")
    commands = commands_of(films, search_model_path)
    commands["prepare"].append("--max-bad=1")
    here = made_here(commands, tmp_path)
    for verb, command in (("prepare", PREPARE), ("index", INDEX)):
        out = tmp_path / f"{verb} on Ray"
        with running(cluster, command, commands[verb], out) as process:
            ended(process)
        assert searchable.bytes_of(out) == searchable.bytes_of(here / verb)
        assert (out / "quarantine.jsonl").read_text().count("\n") > 5


def test_what_is_no_engine_is_told():
    for name in ("spark", "ray:", "rays:1"):
        with pytest.raises(ValueError, match=f"--engine={name}: wanted ray or ray:HOST:PORT"):
            engines.opened(name).__enter__()


@pytest.mark.parametrize("address", ["here", "ray://head:10001", "head:port", ":6379"])
def test_what_is_no_address_is_told(address):
    pytest.importorskip("ray")
    with pytest.raises(ValueError, match=r"wanted HOST:PORT of a cluster"):
        engines.opened(f"ray:{address}").__enter__()


def test_an_address_where_nobody_answers_is_told_at_once(tmp_path, films, capsys):
    pytest.importorskip("ray")
    address = f"127.0.0.1:{free_port()}"
    words = [f"folder:{films}", f"--out={tmp_path / 'out'}", f"--engine=ray:{address}"]
    assert prepare.main(words) == 1
    told = capsys.readouterr().err
    assert f"animclip prepare: --engine=ray:{address}: nobody answers there" in told
    assert told.count("\n") == 1 and not (tmp_path / "out").exists()


def test_what_answers_without_being_a_cluster_is_told(monkeypatch):
    pytest.importorskip("ray")
    monkeypatch.setattr(on_ray, "PATIENCE", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = f"127.0.0.1:{other.getsockname()[1]}"
        with pytest.raises(ValueError, match="what answers there is no Ray cluster"):
            engines.opened(f"ray:{address}").__enter__()


def test_a_node_that_does_not_see_a_file_is_told_and_not_the_file(tmp_path):
    path = tmp_path / "a.mp4"
    settings = SegmentSettings(4, 32)
    read = functools.partial(read_file, settings=settings)
    reading = on_ray.Reading(read, settings, 4, Limits())
    with pytest.raises(FileNotFoundError, match=r"a\.mp4: no such file"):
        next(on_ray.read_in_parts(reading, Source(path)))
    assert on_ray.unseen(path).reason == "no such file", "it is gone here, too"
    path.touch()
    with pytest.raises(ValueError, match=r"a\.mp4: a node of the cluster does not see it"):
        on_ray.unseen(path)


def test_without_ray_its_package_is_named(tmp_path):
    (tmp_path / "videos").mkdir()
    words = [str(tmp_path / "videos"), "--model=m", f"--out={tmp_path / 'out'}", "--engine=ray"]
    line = without(("ray",), "animclip_jax.index", *words)
    done = subprocess.run(line, capture_output=True, text=True)
    assert done.returncode == 1
    assert "animclip index: --engine=ray: Ray is not installed: pip install" in done.stderr
