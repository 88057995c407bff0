"""`animclip serve` where clients say nothing, trickle or do not listen, and where it fails."""

import asyncio
import contextlib
import http.client
import shutil
import socket
import time

import pytest

from animclip_jax import api
from animclip_jax.engines.engine import EngineError
from animclip_jax.serving import answers, app, connection, guard
from animclip_jax.video_index import catalogue as catalogues
from animclip_jax.video_index.reader import Index
from animclip_jax.video_index.searcher import Searcher
from tests import searchable
from tests.asked import ask
from tests.served import Reply, Served, served

VIDEO = f"/video/{searchable.moment('red.mp4')}"
HEAD = b"GET /api/index HTTP/1.1\r\nHost: localhost\r\n"
NO_BODY = (
    b"POST /api/search HTTP/1.1\r\nHost: localhost\r\n"
    b"Content-Type: image/png\r\nContent-Length: 100\r\n\r\n"
)


def connect(server: Served, source: str = "127.0.0.1") -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), 30, (source, 0))


def read(connection: socket.socket) -> Reply:
    reply = http.client.HTTPResponse(connection)
    reply.begin()
    return Reply(reply.status, {k.lower(): v for k, v in reply.getheaders()}, reply.read())


def ask_again(server: Served, path: str) -> Reply:
    """Asks until the server is not too busy, for a minute at most: it may be slow to accept."""
    deadline = time.monotonic() + 60
    while (reply := server.ask(path)).status == 503 and time.monotonic() < deadline:
        time.sleep(float(reply.headers["retry-after"]))
    return reply


def check(reply: Reply, status: int) -> None:
    """The documented error, with the headers of every answer."""
    assert reply.status == status
    assert reply.headers["content-type"] == "application/json"
    assert answers.Error.model_validate(reply.json).error.strip()
    for name, text in guard.HEADERS.items():
        assert reply.headers[name] == text


def test_connections_that_say_nothing_shut_nobody_out(indexed):
    flags = ("--max-connections=8", "--request-timeout=600")
    with served(indexed, *flags) as server, contextlib.ExitStack() as held:
        silent = [held.enter_context(connect(server)) for _ in range(12)]
        for _ in range(3):
            assert ask_again(server, "/api/index").status == 200
        assert silent[0].recv(1) == b"", "the oldest made room"


def test_a_client_that_holds_many_connections_leaves_room_for_others(indexed):
    flags = ("--max-connections=6", "--max-per-client=3")
    with served(indexed, *flags) as server, contextlib.ExitStack() as held:
        for _ in range(3):
            held.enter_context(connect(server, "127.0.0.2")).sendall(NO_BODY)
        time.sleep(1.5)
        with connect(server, "127.0.0.2") as another:
            another.sendall(HEAD + b"\r\n")
            busy = read(another)
        check(busy, 503)
        assert busy.headers["retry-after"] == "1" and busy.headers["connection"] == "close"
        assert server.ask("/api/index").status == 200


@pytest.fixture(scope="module")
def impatient(indexed, tmp_path_factory):
    """A server that waits for one second, and has a video of 64 MiB."""
    home = tmp_path_factory.mktemp("impatient")
    shutil.copytree(indexed.parent, home, dirs_exist_ok=True)
    catalogue = catalogues.read(home / "index")
    catalogue.root = str(home / "videos")
    catalogues.write(home / "index", catalogue)
    for video in (home / "videos").glob("*.mp4"):
        with video.open("wb") as file:
            file.truncate(64 * 2**20)
    with served(home / "index", "--request-timeout=1") as server:
        yield server


@pytest.mark.parametrize("sent", [HEAD, NO_BODY, NO_BODY + b"\x89PNG"])
def test_a_request_that_does_not_arrive_is_ended(impatient, sent):
    with connect(impatient) as connection:
        connection.sendall(sent)
        check(read(connection), 408)
        assert connection.recv(1) == b""


def test_a_connection_without_a_request_is_ended(impatient):
    with connect(impatient) as connection:
        assert connection.recv(1) == b""


def test_bytes_that_trickle_do_not_count_as_a_request(impatient):
    with connect(impatient) as connection:
        connection.sendall(HEAD)
        # Each byte would begin the wait anew, were it for the next byte and not for the request.
        with contextlib.suppress(ConnectionError):
            for _ in range(25):
                connection.sendall(b"X")
                time.sleep(0.2)
            pytest.fail("it still listens")


def test_an_answer_that_nobody_reads_is_ended(impatient):
    number = next(
        one["id"]
        for one in impatient.ask("/api/search?q=a").json["results"]
        if one["video"].endswith("mp4")
    )
    with connect(impatient) as connection:
        connection.sendall(f"GET /video/{number} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        time.sleep(5)
        size = 0
        with contextlib.suppress(ConnectionError):
            while part := connection.recv(2**20):
                size += len(part)
        assert size < 64 * 2**20


def test_errors_before_the_app_are_told_like_its_own(impatient):
    for sent in (b"\x16\x03\x01 TLS?\r\n\r\n", b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"):
        with connect(impatient) as connection:
            connection.sendall(sent)
            check(read(connection), 400)


def test_errors_of_ranges_are_told_like_others(impatient):
    for asked, status in (
        ("bytes=9-5", 400),
        ("lines=1-2", 400),
        (f"bytes={2**40}-", 416),
    ):
        reply = impatient.ask(VIDEO, Range=asked)
        check(reply, status)
    assert reply.headers["content-range"].startswith("bytes */")


@pytest.fixture
def searcher(indexed, search_model_path):
    return Searcher(api.load(search_model_path), Index(indexed))


@pytest.fixture
def guarded(searcher):
    return guard.Guard(app.make_app(searcher))


def test_an_engine_that_fails_is_told_and_asked_beside_all_other_work(
    guarded, searcher, monkeypatch
):
    def fail(*given, **options):
        with pytest.raises(RuntimeError):
            asyncio.get_running_loop()  # Whatever runs on it waits for what is asked here.
        raise EngineError("qdrant:http://db:6333/films: timed out")

    monkeypatch.setattr(searcher.index, "thumbnail", fail)
    monkeypatch.setattr(searcher, "answer", fail)
    for path in (f"/thumbnail/{searchable.moment('red.mp4')}", "/api/search?q=a"):
        reply = ask(guarded, path)
        assert reply.status == 503 and reply.headers["retry-after"] == "1"
        assert reply.json["error"] == "qdrant:http://db:6333/films: timed out"


def test_a_model_that_fails_is_told_as_an_error(guarded, searcher, monkeypatch, caplog):
    def fail(*given, **options):
        raise RuntimeError("RESOURCE_EXHAUSTED at 0x7f00")

    monkeypatch.setattr(searcher, "answer", fail)
    reply = ask(guarded, "/api/search?q=a")
    check(reply, 500)
    assert "0x7f00" not in reply.json["error"], "what failed is for whoever runs the server"
    assert caplog.records[-1].exc_info


def test_a_video_that_disappears_while_it_is_asked_for(guarded, searcher, monkeypatch):
    root, name = searcher.index.root, searcher.index.names[0]
    monkeypatch.setattr(searcher.index, "names", ["gone.mp4"] * len(searcher.index))
    check(ask(guarded, VIDEO), 404)
    # Between two looks at it.
    monkeypatch.setattr(type(root), "is_file", lambda path: True)
    check(ask(guarded, VIDEO), 404)
    assert (root / name).exists()


def test_a_video_that_became_a_link_to_itself_or_leads_elsewhere(searcher, tmp_path, monkeypatch):
    """Or a folder, or one that another owner closed: each is told as an error, none is sent."""
    root = tmp_path / "videos"
    root.mkdir()
    monkeypatch.setattr(searcher.index, "root", root)
    names = ["itself.mp4", "a.mp4", "elsewhere.mp4", "folder.mp4", "closed.mp4"]
    monkeypatch.setattr(searcher.index, "names", names)
    guarded = guard.Guard(app.make_app(searcher))
    (root / "itself.mp4").symlink_to("itself.mp4")
    (root / "a.mp4").symlink_to("b.mp4")
    (root / "b.mp4").symlink_to("a.mp4")
    (tmp_path / "secret").write_bytes(b"not below the folder that is indexed")
    (root / "elsewhere.mp4").symlink_to(tmp_path / "secret")
    (root / "folder.mp4").mkdir()
    (root / "closed.mp4").write_bytes(b"x")
    monkeypatch.setattr(type(root), "open", refuse_the_closed(type(root).open))
    said = [ask(guarded, f"/video/{searcher.index.id(n)}") for n in range(len(names))]
    for reply in said:
        check(reply, 404)
    words = [reply.json["error"] for reply in said]
    assert words[4] == "the video can't be read: Permission denied"
    for told in words[:4]:
        assert told.startswith(("the video can't be read: ", "the video is no longer where"))


def refuse_the_closed(opened):
    """`Path.open` of who is not root, for whom a file with mode 000 is closed."""

    def opening(path, *args, **kwargs):
        if path.name == "closed.mp4":
            raise PermissionError(13, "Permission denied", str(path))
        return opened(path, *args, **kwargs)

    return opening


def test_an_answer_that_breaks_off_is_told_in_a_line(caplog):
    async def broken(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise OSError(5, "Input/output error")

    assert ask(guard.Guard(broken), "/video/3").status == 200
    (told,) = caplog.records
    assert "'/video/3'" in told.message and "Input/output error" in told.message
    assert not told.exc_info


def test_a_client_that_leaves_is_no_error(guarded, caplog):
    gone: list[dict] = [
        {"type": "http.request", "body": b"x", "more_body": True},
        {"type": "http.disconnect"},
    ]
    assert ask(guarded, "/api/search", "POST", gone).status == 400
    assert not caplog.records


def test_a_client_is_an_address_or_in_ipv6_a_network_of_them():
    one, other, elsewhere = "2001:db8::1", "2001:db8::f:1", "2001:db8:0:1::1"
    assert connection._network(one) == connection._network(other) != connection._network(elsewhere)
    assert connection._network("fe80::1%eth0") == connection._network("fe80::2")
    assert connection._network("10.0.0.1") != connection._network("10.0.0.2")
