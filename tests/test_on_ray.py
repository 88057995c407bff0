"""Preparing and indexing on a Ray cluster of three nodes: as here, whatever is killed."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from animclip_jax import index, prepare
from input_pipeline.media import engines, on_ray
from input_pipeline.media.indexing import Source
from input_pipeline.media.video import write_video
from tests import searchable
from tests.processes import free_port, program, started, without

FILES = 14


class Cluster(NamedTuple):
    """Three nodes on loopback, of a core each; raylets: their processes, the head's first."""

    address: str
    raylets: list[int]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    pytest.importorskip("ray", reason="Ray is not installed")
    # In a process without JAX, since it forks.
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with started(program("three_nodes"), **pipes) as running:
        assert running.stdin and running.stdout
        line = next(one for one in running.stdout if one.startswith("{"))
        yield Cluster(**json.loads(line))
        running.stdin.close()


@pytest.fixture(scope="module")
def films(tmp_path_factory) -> Path:
    """Videos with captions, one of which is broken."""
    home = tmp_path_factory.mktemp("films")
    given = os.environ.get("ANIMCLIP_TEST_DATA")
    real = sorted(Path(given, "vidcap").rglob("*.mp4"))[:3] if given else []
    for number in range(FILES):
        if number < len(real):
            shutil.copy(real[number], home / f"{number}.mp4")
        else:
            colour = (9 * number, 128, 200)
            write_video(home / f"{number}.mp4", searchable.shot(colour, 24, number), 8)
    (home / "bad.mp4").write_text("<html>404</html>")
    lines = [{"video": path.name, "captions": [path.stem]} for path in sorted(home.glob("*.mp4"))]
    (home / "captions.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return home


@pytest.fixture(scope="module")
def commands(cluster, films, search_model_path) -> dict[str, list[str]]:
    """By verb: what prepares and indexes them, except for --out and --engine."""
    return {
        "prepare": [f"folder:{films}", "--num-frames=4", "--short-side=32"],
        "index": [str(films), f"--model={search_model_path}", "--batch-size=4", "--processes=3"],
    }


@pytest.fixture(scope="module")
def here(commands, tmp_path_factory) -> Path:
    """What both make without Ray, in folders of their names."""
    home = tmp_path_factory.mktemp("here")
    for verb, run in (("prepare", prepare.main), ("index", index.main)):
        assert run([*commands[verb], f"--out={home / verb}"]) == 0
    return home


def start(cluster: Cluster, words: list[str], verb: str, out: Path) -> subprocess.Popen[str]:
    """The command on the cluster, in a process of its own."""
    line = [sys.executable, "-m", f"animclip_jax.{verb}", *words, f"--out={out}"]
    address = f"--engine=ray:{cluster.address}"
    return started([*line, address], stderr=subprocess.PIPE, stdout=subprocess.PIPE)


def ended(process: subprocess.Popen[str]) -> None:
    _, told = process.communicate(timeout=300)
    assert process.returncode == 0, told


def wait_until(done: Any, process: subprocess.Popen[str], seconds: float = 200.0) -> None:
    until = time.monotonic() + seconds
    while not done():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until
        time.sleep(0.005)


def workers_of(cluster: Cluster, name: str) -> list[int]:
    """Processes that nodes of the cluster started, by what they do now."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, ValueError):
            parent = int((path / "stat").read_text().rpartition(")")[2].split()[1])
            if parent in cluster.raylets and name in (path / "cmdline").read_text():
                found.append(int(path.name))
    return found


def is_one_killed(cluster: Cluster, name: str) -> bool:
    """Whether there was such a worker, and it was still there to be killed."""
    for worker in workers_of(cluster, name):
        with contextlib.suppress(ProcessLookupError):
            os.kill(worker, signal.SIGKILL)
            return True
    return False


def lines_of(out: Path) -> int:
    log = out.with_name(f"{out.name}.partial") / "log.jsonl"
    return log.read_bytes().count(b"\n") if log.is_file() else 0


@pytest.mark.slow
def test_a_cluster_prepares_as_one_machine_although_the_driver_is_killed(
    cluster, commands, here, tmp_path
):
    """And then a worker."""
    out = tmp_path / "store"
    process = start(cluster, commands["prepare"], "prepare", out)
    wait_until(lambda: lines_of(out), process)
    process.kill()
    process.communicate()
    before = lines_of(out)
    assert 1 <= before < FILES and not out.exists()
    process = start(cluster, commands["prepare"], "prepare", out)
    wait_until(lambda: is_one_killed(cluster, "ray::_call"), process)
    ended(process)
    assert searchable.bytes_of(out) == searchable.bytes_of(here / "prepare")


@pytest.mark.slow
def test_a_cluster_indexes_as_one_machine_although_workers_and_a_node_are_killed(
    cluster, commands, here, tmp_path
):
    """A worker that reads and one that encodes are killed, then a node with what it holds."""
    out = tmp_path / "index"
    process = start(cluster, commands["index"], "index", out)
    for name in ("ray::read_in_parts", "ray::_Encoder"):
        wait_until(lambda name=name: is_one_killed(cluster, name), process)
    os.kill(cluster.raylets[-1], signal.SIGKILL)
    ended(process)
    assert searchable.bytes_of(out) == searchable.bytes_of(here / "index")
    assert "bad.mp4" in (out / "quarantine.jsonl").read_text()


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
    with pytest.raises(FileNotFoundError, match=r"a\.mp4: no such file"):
        next(on_ray.read_in_parts((None, None, 4, None), Source(path)))
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
