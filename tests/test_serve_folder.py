"""`animclip serve` opens the folder of a video: for a browser on its own machine, and no other."""

import os
import shutil
import time
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import Request

from animclip_jax.options.serve import parse
from animclip_jax.serving import answers, nearness
from animclip_jax.video_index import catalogue as catalogues
from tests import searchable
from tests.served import Served, served

BLUE, RED, SHOTS = (
    f"/api/folder/{searchable.moment(name)}" for name in ("below/blue.gif", "red.mp4", "shots.mp4")
)


@pytest.fixture
def desktop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file manager that writes down which folders it was to open."""
    opened = tmp_path / "opened.txt"
    manager = tmp_path / "bin" / "xdg-open"
    manager.parent.mkdir()
    manager.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >> {opened}\n')
    manager.chmod(0o755)
    monkeypatch.setenv("PATH", f"{manager.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("DISPLAY", ":99")
    return opened


def seen(opened: Path) -> list[str]:
    """What the file manager was to open, once it has begun."""
    deadline = time.monotonic() + 60
    while not (opened.exists() and opened.read_text().endswith("\n")):
        assert time.monotonic() < deadline, "no folder is opened"
        time.sleep(0.02)
    return opened.read_text().splitlines()


def test_the_folder_of_a_video_opens(indexed: Path, desktop: Path) -> None:
    videos = (indexed.parent / "videos").resolve()
    with served(indexed, "--previews=none") as server:
        told = server.ask(BLUE).json
        answers.Place.model_validate(told)
        assert told == {"path": str(videos / "below" / "blue.gif"), "opens": True}
        assert not desktop.exists(), "asking where it is opens nothing"
        reply = server.ask(BLUE, "POST", Origin=server.url)
        assert (reply.status, reply.body) == (204, b"")
    assert seen(desktop) == [str(videos / "below")]


def refused(server: Served, path: str, status: int, **headers: Any) -> str:
    reply = server.ask(path, "POST", **headers)
    assert reply.status == status, (path, headers, reply)
    return reply.json["error"]


def test_nobody_elsewhere_opens_anything(indexed: Path, desktop: Path) -> None:
    with served(indexed, "--previews=none", "--allowed-host=search.example") as server:
        for origin in ("http://evil.example", "null", f"http://localhost:{server.port}"):
            assert "page of another server" in refused(server, RED, 403, Origin=origin)
        for header in ("Via", "Forwarded", "X-Forwarded-For", "x-forwarded-host", "X-Real-IP"):
            sent: Any = {header: "192.0.2.7"}
            assert "own machine" in refused(server, RED, 403, **sent)
            assert server.ask(RED, **sent).json["opens"] is False
        for host in ("search.example", "192.0.2.7"):
            assert "own machine" in refused(server, RED, 403, Host=host)
        for id in ("0" * 16 + "-0", "red.mp4", "..%2f..%2fetc", "%2fetc%2fpasswd"):
            refused(server, f"/api/folder/{id}", 404)
    assert not desktop.exists()


@pytest.mark.parametrize(
    "flags", [["--no-open-folder"], ["--host=0.0.0.0", "--token=0123456789abcdef"]]
)
def test_a_server_for_others_opens_nothing(indexed: Path, desktop: Path, flags: list[str]) -> None:
    sent: Any = {"Authorization": "Bearer 0123456789abcdef"}
    with served(indexed, "--previews=none", *flags) as server:
        assert server.ask(RED, **sent).json["opens"] is False
        assert refused(server, RED, 403, **sent) == "this server opens no folders"
    assert not desktop.exists()


def test_a_video_that_is_gone_or_a_link_opens_nothing(
    indexed: Path, desktop: Path, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    shutil.copytree(indexed.parent, home)
    catalogue = catalogues.read(home / "index")
    catalogue.root = str((home / "videos").resolve())
    catalogues.write(home / "index", catalogue)
    (home / "videos" / "red.mp4").unlink()
    (tmp_path / "elsewhere").mkdir()
    (home / "videos" / "shots.mp4").rename(tmp_path / "elsewhere" / "shots.mp4")
    (home / "videos" / "shots.mp4").symlink_to(tmp_path / "elsewhere" / "shots.mp4")
    with served(home / "index", "--previews=none") as server:
        for path in (RED, SHOTS):
            assert "no longer where it was indexed" in refused(server, path, 404)
    assert not desktop.exists()


def test_without_a_desktop_or_a_file_manager_that_is_said(
    indexed: Path, desktop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(desktop.parent))
    with served(indexed, "--previews=none") as server:
        assert "no file manager" in refused(server, RED, 501)
    monkeypatch.delenv("DISPLAY")
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    with served(indexed, "--previews=none") as server:
        assert server.ask(RED).json["opens"] is False
        assert "no file manager" in refused(server, RED, 501)


@pytest.mark.parametrize(
    ("client", "host", "is_here"),
    [
        (("127.0.0.1", 9), "localhost:8000", True),
        (("127.4.5.6", 9), "127.0.0.1", True),
        (("::1", 9), "[::1]:8000", True),
        (("192.0.2.7", 9), "127.0.0.1:8000", False),
        (("127.0.0.1", 9), "192.0.2.7:8000", False),
        (("127.0.0.1", 9), "localhost.example", False),
        (("127.0.0.1", 9), "", False),
        (None, "localhost", False),
    ],
)
def test_who_is_here(client: Any, host: str, is_here: bool) -> None:
    headers = [(b"host", host.encode())] if host else []
    asked = Request({"type": "http", "client": client, "headers": headers})
    assert nearness.is_here(asked) is is_here


def test_only_a_loopback_address_lets_folders_open() -> None:
    token = "--token=0123456789abcdef"
    assert parse(["index"]).open_folder
    assert parse(["index", "--host=::1"]).open_folder
    assert not parse(["index", "--no-open-folder"]).open_folder
    assert not parse(["index", "--host=0.0.0.0", "--open-folder", token]).open_folder
