"""`animclip serve` over the network: its answers, and what it does with hostile requests."""

import base64
import concurrent.futures
import hashlib
import html
import io
import re
import shutil
import socket
import urllib.parse
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from starlette.responses import PlainTextResponse

from animclip_jax import serve
from animclip_jax.options import search as search_options
from animclip_jax.serving import answers, app, guard, inline
from animclip_jax.video_index import catalogue as catalogues
from tests import searchable
from tests.asked import ask
from tests.served import Served, served

SEARCH = "/api/search?q=a+white+block"
THUMBNAIL = f"/thumbnail/{searchable.moment('red.mp4')}"
HOSTILE_PATHS = (
    *("/../../etc/passwd", "/..%2f..%2fetc/passwd", "/video/../../etc/passwd", "//etc/passwd"),
    *("/video/..%2f..%2fetc%2fpasswd", "/video/%2e%2e/secret.mp4", "/video/red.mp4", "/page.py"),
    *("/app.py", "/openapi.json/..", "/thumbnail/-1", "/thumbnail/1e3", "/thumbnail/8", "/video/8"),
    *(f"/thumbnail/{'9' * 5000}", f"/video/{'9' * 5000}", "/video/%00", "/video/٣", "/video/"),
    *("/static/page.js", "/quarantine.jsonl", "/catalogue.json", "/%ff%fe", "/video/1/"),
    *(f"/video/{searchable.moment('red.mp4', 1)}", f"/video/{searchable.moment('none.mp4')}"),
    *(f"/thumbnail/{'0' * 16}-{'9' * 5000}", f"/picture/{'0' * 32}", "/picture/..", "/picture/"),
)
HOSTILE_SEARCHES = (
    *("", "?q=", "?q=%20%20", f"?q={'a' * 1001}", "?q=a&n=0", "?q=a&n=1001", "?q=a&n=-1"),
    *("?q=a&n=x", f"?q=a&n={'9' * 5000}", "?q=a&n=%D9%A3", "?q=a&coarse_only=1", "?n=3"),
)


@pytest.fixture(scope="module")
def home(indexed, tmp_path_factory) -> Path:
    """A copy of the index, with videos that became links out of their folder, or went away."""
    home = tmp_path_factory.mktemp("served")
    shutil.copytree(indexed.parent, home, dirs_exist_ok=True)
    catalogue = catalogues.read(home / "index")
    catalogue.root = str((home / "videos").resolve())
    catalogues.write(home / "index", catalogue)
    (home / "secret.mp4").write_bytes(b"secret")
    (home / "videos" / "shots.mp4").unlink()
    (home / "videos" / "shots.mp4").symlink_to(home / "secret.mp4")
    shutil.rmtree(home / "videos" / "below")
    return home


@pytest.fixture(scope="module")
def server(home):
    many = ("--max-connections=400", "--max-per-client=400")
    with served(home / "index", "--max-waiting=4", *many) as running:
        yield running


@pytest.mark.parametrize("sentence", ["", " ", "\t\n", "\u3000", "a" * 1001])
def test_command_and_server_refuse_the_same_sentences(
    server: Served, sentence: str, capsys: pytest.CaptureFixture
) -> None:
    reply = server.ask(f"/api/search?{urllib.parse.urlencode({'q': sentence})}")
    with pytest.raises(SystemExit):
        search_options.parse(["index", sentence])
    assert reply.status == 400 and reply.json["error"].startswith("q: ")
    assert "the sentence " in capsys.readouterr().err


def segment(server: Served, name: str) -> int:
    found = server.ask("/api/search?q=a&n=8").json["results"]
    return next(one["id"] for one in found if one["video"] == name)


def png(size: tuple[int, int] = (64, 48)) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", size, searchable.RED).save(buffer, "PNG")
    return buffer.getvalue()


def test_text_is_searched_in_both_rankings(server):
    told = server.ask(f"{SEARCH}&n=3").json
    answers.Answer.model_validate(told)
    assert (told["stage"], told["count"], told["candidates"]) == ("reranked", 3, 8)
    for by in ("rank", "coarse_rank"):
        assert {1, 2, 3} <= {one[by] for one in told["results"]}
    assert all(min(one["rank"], one["coarse_rank"]) <= 3 for one in told["results"])
    coarse = server.ask(f"{SEARCH}&coarse_only=true").json
    answers.Answer.model_validate(coarse)
    assert coarse["stage"] == "coarse" and len(coarse["results"]) == 6


def test_a_picture_is_searched(server):
    reply = server.ask("/api/search?n=2", "POST", png(), content_type="image/png")
    assert reply.status == 200
    answers.Answer.model_validate(reply.json)
    assert reply.json["stage"] == "coarse" and len(reply.json["results"]) == 2


def test_the_pages_and_the_thumbnails(server):
    for path, kind in {
        **{"/": "text/html", "/page.css": "text/css", "/page.js": "text/javascript"},
        **{"/icon.svg": "image/svg+xml", "/api": "text/html", "/openapi.json": "application/json"},
        **{"/api/index": "application/json", THUMBNAIL: "image/jpeg", "/status": "text/html"},
        **{"/player.js": "text/javascript", "/asked.js": "text/javascript"},
    }.items():
        reply = server.ask(path)
        assert reply.status == 200 and reply.headers["content-type"].startswith(kind), path
    answers.Index.model_validate(server.ask("/api/index").json)
    page = server.ask("/").body.decode()
    assert not re.search(r"style=|\son\w+=|https?:", page)


def test_the_page_is_painted_without_a_second_request(server):
    page = server.ask("/").body.decode()
    policy = guard.HEADERS["content-security-policy"]
    for name, tag in (("page.css", "style"), ("theme.js", "script")):
        texts = re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
        assert texts == [(inline.HERE / name).read_text()]
        digest = base64.b64encode(hashlib.sha256(texts[0].encode()).digest()).decode()
        assert f"{tag}-src 'self' 'sha256-{digest}';" in policy
        assert f"/{name}" not in page.replace(texts[0], "")


def test_every_module_of_the_page_is_asked_for_at_once(server):
    page = server.ask("/").body.decode()
    announced = re.findall(r'<link rel="modulepreload" href="/(.+)">', page)
    plain = {"page.js", "theme.js"}
    assert set(announced) == {path.name for path in inline.HERE.glob("*.js")} - plain


def test_every_answer_carries_the_headers(server):
    for path in ("/", "/api/search", SEARCH, "/none", "/video/0", THUMBNAIL):
        headers = server.ask(path).headers
        for name, text in guard.HEADERS.items():
            assert headers[name] == text, (path, name)
        assert "server" not in headers
    assert "unsafe" not in guard.HEADERS["content-security-policy"]


def test_videos_are_sent_by_parts(server, home):
    path = f"/video/{segment(server, 'red.mp4')}"
    whole = (home / "videos" / "red.mp4").read_bytes()
    reply = server.ask(path)
    assert (reply.status, reply.body) == (200, whole)
    assert reply.headers["content-type"] == "video/mp4"
    assert reply.headers["accept-ranges"] == "bytes"
    size = len(whole)
    for asked, part in {
        **{"bytes=0-9": whole[:10], "bytes=5-": whole[5:], "bytes=-7": whole[-7:]},
        **{f"bytes=10-{size + 99}": whole[10:]},
    }.items():
        reply = server.ask(path, Range=asked)
        assert (reply.status, reply.body) == (206, part), asked
        assert reply.headers["content-range"].endswith(f"/{size}")
    for asked in (f"bytes={size}-", "bytes=999999999999-"):
        reply = server.ask(path, Range=asked)
        assert (reply.status, reply.headers["content-range"]) == (416, f"bytes */{size}")
    many = "bytes=" + ",".join(f"{n}-{n}" for n in range(0, 4000, 2))
    for asked in ("bytes=9-5", "bytes=x", "lines=1-2", "bytes=", f"bytes={'9' * 6000}-", many):
        assert server.ask(path, Range=asked).status in (200, 400, 416), asked[:40]


def test_only_files_of_the_folder_are_sent(server):
    for name in ("shots.mp4", "below/blue.gif"):
        reply = server.ask(f"/video/{segment(server, name)}")
        assert reply.status == 404 and b"secret" not in reply.body, name


@pytest.mark.parametrize("path", HOSTILE_PATHS, ids=lambda path: path[:30])
def test_paths_lead_nowhere(server, path):
    reply = server.ask(path.encode("utf-8").decode("latin-1").replace("\xd9\xa3", "%D9%A3"))
    assert reply.status == 404 and set(reply.json) == {"error"}


@pytest.mark.parametrize("query", HOSTILE_SEARCHES, ids=lambda query: query[:30])
def test_searches_are_bounded(server, query):
    reply = server.ask(f"/api/search{query}")
    assert reply.status == 400 and reply.json["error"]


def test_words_of_any_script_and_length_are_searched(server):
    for text in ("%F0%9F%90%95", "a" * 1000, "%ff%fe", "%00", "<|endoftext|>", "%26lt;b%26gt;"):
        assert server.ask(f"/api/search?q={text}").status == 200, text[:20]


def test_other_bodies_are_refused(server):
    for body, kind, status in (
        (b'{"q": ', "application/json", 415),
        (b"{}", "", 415),
        (b"no picture", "image/png", 400),
        (b"", "image/png", 400),
        (png()[:60], "image/png", 400),
        (png((300_000, 1)), "image/png", 400),
        (b"\0" * (app.MAX_PICTURE_BYTES + 1), "image/png", 413),
    ):
        reply = server.ask("/api/search", "POST", body, content_type=kind)
        assert reply.status == status and set(reply.json) == {"error"}, (kind, reply)
    for method in ("PUT", "DELETE", "PATCH", "OPTIONS"):
        reply = server.ask("/api/search", method)
        assert (reply.status, reply.headers["allow"]) == (405, "GET, HEAD, POST")
    assert server.ask("/api/index", "POST").headers["allow"] == "GET, HEAD"


def test_foreign_names_are_refused(server):
    for host in (
        "evil.example",
        "127.0.0.1.evil.example",
        "localhost.evil.example:80",
        "",
        "[",
        "a b",
    ):
        assert server.ask("/", Host=host).status in (400, 421), host
    for host in ("localhost", f"127.0.0.1:{server.port}", "[::1]:80", "LOCALHOST:1"):
        assert server.ask("/", Host=host).status == 200, host
    given = {"content_type": "image/png", "Origin": "http://evil.example"}
    assert server.ask("/api/search", "POST", png(), **given).status == 403
    given["Origin"] = server.url
    assert server.ask("/api/search", "POST", png(), **given).status == 200


def test_bytes_that_are_no_request_close_the_connection(server):
    for sent in (
        b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"POST /api/search HTTP/1.1\r\nHost: localhost\r\nContent-Length: -5\r\n\r\n",
    ):
        with socket.create_connection(("127.0.0.1", server.port), 30) as connection:
            connection.sendall(sent)
            status = connection.recv(999).split(b" ")[1]
        assert status.startswith(b"4"), (sent[:30], status)
    assert server.ask("/").status == 200


def test_two_hundred_clients_get_answers_or_503(server):
    with concurrent.futures.ThreadPoolExecutor(200) as clients:
        replies = list(clients.map(lambda number: server.ask(SEARCH), range(200)))
    statuses = [reply.status for reply in replies]
    assert set(statuses) == {200, 503}, "both, as four may wait"
    busy = [reply for reply in replies if reply.status == 503]
    assert all(reply.headers["retry-after"] == "1" for reply in busy)
    assert {reply.json["error"] for reply in busy} == {"too many searches at once"}
    answers = [reply.json["results"] for reply in replies if reply.status == 200]
    assert all(one == answers[0] for one in answers)
    assert server.ask(SEARCH).status == 200, "and it goes on"


def cookie_of(token, text):
    return f"animclip_token_{hashlib.sha256(token.encode()).hexdigest()[:8]}={text}"


def test_servers_of_one_host_keep_their_users():
    """Ports share cookies: a browser sends those of all of a host's servers to each."""

    async def found(scope, receive, send):
        await PlainTextResponse("found")(scope, receive, send)

    tokens = ("0123456789abcdefXYZ", "ZYXfedcba9876543210")
    guards = [guard.Guard(found, (), token) for token in tokens]
    cookies = {}
    for one, token in zip(guards, tokens, strict=True):
        cookie = ask(one, f"/?token={token}").headers["set-cookie"].partition(";")[0]
        name, _, value = cookie.partition("=")
        assert token not in name
        cookies[name] = value
    sent = "; ".join(f"{name}={value}" for name, value in cookies.items()).encode()
    assert [ask(one, "/x", headers=[(b"cookie", sent)]).status for one in guards] == [200] * 2


def test_a_token_is_asked_for(home):
    token = "0123456789abcdefXYZ"
    with served(home / "index", f"--token={token}", "--host=0.0.0.0") as server:
        for given in ({}, {"Authorization": "Bearer wrong"}, {"Cookie": cookie_of(token, "é")}):
            sent: Any = {name: text.encode().decode("latin-1") for name, text in given.items()}
            assert server.ask(SEARCH, **sent).status == 401
            assert server.ask(THUMBNAIL, **sent).status == 401
        assert server.ask(f"{SEARCH}&token={token}").status == 401, "the page's address alone"
        assert server.ask("/?token=wrong").status == 401
        assert server.ask(SEARCH, Authorization=f"Bearer {token}").status == 200
        reply = server.ask(f"/?token={token}")
        assert (reply.status, reply.headers["location"]) == (303, "/")
        cookie = reply.headers["set-cookie"]
        assert "HttpOnly" in cookie and "SameSite=strict" in cookie
        assert server.ask(SEARCH, Cookie=cookie.partition(";")[0]).status == 200
        assert server.ask("/", Host="evil.example").status == 421


def test_coarse_weights_say_so(tmp_path):
    model = searchable.write_converted(tmp_path / "model")
    videos = searchable.write_videos(tmp_path / "videos")
    from animclip_jax import api as exported

    searchable.index(videos, tmp_path / "index", exported.load(model), model)
    with served(tmp_path / "index") as server:
        for path in (SEARCH, "/api/index"):
            told = server.ask(path).json
            assert "coarse search only" in told["note"]


def test_mistakes_are_told_in_a_line(indexed, tmp_path, capsys):
    assert serve.main([str(tmp_path), "--port=0"]) == 1
    assert "catalogue.json: no such file; animclip index makes" in capsys.readouterr().err
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert serve.main([str(indexed), f"--port={taken.getsockname()[1]}"]) == 1
    assert "--port=0 takes a free one" in capsys.readouterr().err
    for flags, told in (
        (["--host=0.0.0.0"], "give --token"),
        (["--host=example.org"], "give --token"),
        (["--host=0.0.0.0", "--token=short"], "16 letters (a to z) and digits or more"),
        (["--port=99999"], "wanted 0 to 65535"),
    ):
        with pytest.raises(SystemExit) as refused:
            serve.parse([str(indexed), *flags])
        assert refused.value.code == 2 and told in capsys.readouterr().err


@pytest.mark.parametrize("host", ["no.such.host.invalid", "192.0.2.1", "a..b", "2001:db8::1"])
def test_a_host_that_is_not_this_machine_is_told_as_that(host, indexed, capsys):
    assert serve.main([str(indexed), f"--host={host}", "--port=0", f"--token={'a1' * 8}"]) == 1
    told = capsys.readouterr().err
    assert told.startswith(f"animclip serve: can't listen on {host} port 0: ")
    assert "Unknown error" not in told and "while attempting" not in told
    assert told.endswith("; --host takes an address of this machine, or 0.0.0.0 for all of them\n")


def test_the_description_is_whole(server):
    told = server.ask("/openapi.json").json
    operations = {f"{m} {p}": one for p, of in told["paths"].items() for m, one in of.items()}
    assert set(operations) == {
        *("get /api/search", "post /api/search", "get /api/index"),
        *("get /api/status", "get /preview/{moment}", "get /api/timeline/{moment}"),
        *("get /api/folder/{moment}", "post /api/folder/{moment}", "get /api/export"),
        *("get /strip/{moment}",),
        *("get /thumbnail/{moment}", "get /video/{moment}", "get /picture/{picture}"),
    }
    schemas = {"Answer", "Error", "Index", "Likeness", "Quarantined", "Result", "Status"}
    schemas |= {"Piece", "Place", "Span", "Timeline"}
    assert set(told["components"]["schemas"]) == schemas
    api = html.unescape(server.ask("/api").body.decode())
    for operation, one in operations.items():
        assert operation.split()[1] in api and one["summary"] in api
        assert "422" not in one["responses"] and {"400", "401", "503"} <= set(one["responses"])
        assert all(given["description"] in api for given in one.get("parameters", []))
        assert all(answer["description"] in api for answer in one["responses"].values())
    assert not re.search(r"<script|<style|style=|https?:", api), "it loads nothing from elsewhere"


def test_heads_are_answered_as_what_they_begin(server):
    for path in ("/", "/api/index", THUMBNAIL, f"/video/{segment(server, 'red.mp4')}", SEARCH):
        head, whole = server.ask(path, "HEAD"), server.ask(path)
        assert (head.status, head.body) == (200, b"")
        assert head.headers["content-type"] == whole.headers["content-type"]


def test_an_answers_body_does_not_wait_for_its_head_to_be_acknowledged():
    with (
        serve.listen("127.0.0.1", 0) as listening,
        socket.create_connection(listening.getsockname()),
    ):
        accepted, _ = listening.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
