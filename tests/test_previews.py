"""Previews of `animclip serve`: each made once, whatever clients do; what is refused, and how."""

import asyncio
import concurrent.futures
import io
import os
import socket
from collections import OrderedDict
from pathlib import Path
from typing import Any

import av
import pytest
from PIL import Image
from starlette.exceptions import HTTPException

from animclip_jax import api
from animclip_jax.serving import answers, app, guard, previews
from animclip_jax.serving.previews import Previews, name_of
from animclip_jax.serving.shelf import Shelf
from animclip_jax.video_index.reader import Index
from animclip_jax.video_index.searcher import Searcher
from input_pipeline.media import strip
from input_pipeline.media.clip import Clip
from input_pipeline.media.workers import Limits, cores
from tests import searchable, stand_in_previews
from tests.asked import ask, completed
from tests.room import room
from tests.served import Reply, served

RED, LONG = (f"/preview/{searchable.moment(name)}" for name in ("red.mp4", "long.mp4"))
STRIP = RED.replace("preview", "strip")


@pytest.fixture(scope="module")
def server(indexed, tmp_path_factory):
    """One that keeps its previews in the folder `previews` beside its index."""
    folder = tmp_path_factory.mktemp("kept")
    flags = ("--max-connections=400", "--max-per-client=400")
    with served(indexed, f"--previews={folder}", *flags) as running:
        yield running, folder


def test_a_preview_plays_on_the_clock_of_the_video(server, indexed):
    running, _ = server
    found = running.ask("/api/search?q=a&n=8").json["results"]
    third = next(one for one in found if one["video"] == "long.mp4" and one["start"] > 16)
    reply = running.ask(third["preview"])
    assert (reply.status, reply.headers["content-type"]) == (200, "video/mp4")
    opened: Any = av.open(io.BytesIO(reply.body))
    with opened as file:
        times = [frame.time for frame in file.decode(video=0)]
    assert times[0] == pytest.approx(third["start"], abs=0.01)
    assert times[-1] == pytest.approx(third["end"], abs=0.3)


def test_previews_are_sent_by_parts(server):
    running, _ = server
    whole = running.ask(RED).body
    for asked, status, body in (
        ("bytes=0-0", 206, whole[:1]),
        ("bytes=100-", 206, whole[100:]),
        ("bytes=-7", 206, whole[-7:]),
    ):
        reply = running.ask(RED, Range=asked)
        assert (reply.status, reply.body) == (status, body)
        assert reply.headers["content-range"].endswith(f"/{len(whole)}")
        assert reply.headers["etag"] == running.ask(RED).headers["etag"]
    check(running.ask(RED, Range=f"bytes={len(whole)}-"), 416)
    head = running.ask(RED, "HEAD")
    assert (head.status, head.body) == (200, b"")
    assert int(head.headers["content-length"]) == len(whole)


def test_two_hundred_clients_have_one_preview_made(server):
    running, folder = server
    before = {path.name for path in folder.iterdir()}
    with concurrent.futures.ThreadPoolExecutor(200) as clients:
        replies = list(clients.map(lambda number: running.ask(LONG), range(200)))
    assert {reply.status for reply in replies} <= {200, 503}
    assert len({reply.body for reply in replies if reply.status == 200}) == 1
    assert len({path.name for path in folder.iterdir()} - before) == 1


def test_previews_whose_clients_have_left_hold_nobody_up(indexed, tmp_path):
    with served(indexed, f"--previews={tmp_path / 'kept'}") as running:
        found = running.ask("/api/search?q=a&n=8").json["results"]
        others = [one["preview"] for one in found if one["preview"] != RED]
        left = [socket.create_connection(("127.0.0.1", running.port), 30) for _ in others]
        for connection, path in zip(left, others, strict=True):
            connection.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        for connection in left:
            connection.close()
        assert running.ask(RED).status == 200
        made = len([*(tmp_path / "kept").iterdir()])
    at_once = max(1, min(previews.MAX_PROCESSES, cores() // 2))
    assert made <= 1 + at_once, "those that had begun"


def check(reply: Reply, status: int) -> str:
    """The documented error, and no path of the server in it."""
    assert reply.status == status, reply
    told = answers.Error.model_validate(reply.json).error
    assert told.strip() and str(Path.home()) not in told and os.sep + "tmp" not in told
    return told


@pytest.fixture
def searcher(indexed, search_model_path):
    return Searcher(api.load(search_model_path), Index(indexed))


@pytest.fixture
def asking(searcher, tmp_path):
    """Asks an app in this process, whose previews are made by a function."""
    begun = []

    def start(function=stand_in_previews.make, limit: int = 10**6, seconds: float = 60.0):
        shelf = Shelf(tmp_path / "kept", limit)
        begun.append(Previews(shelf, function, Limits(seconds), processes=2))
        guarded = guard.Guard(app.make_app(searcher, previews=begun[-1]))
        return lambda path: ask(guarded, path)

    yield start
    for one in begun:
        one.close()


def test_without_previews_there_are_none(searcher):
    guarded = guard.Guard(app.make_app(searcher))
    assert check(ask(guarded, RED), 404) == "this server makes no previews"
    assert {one["preview"] for one in ask(guarded, "/api/search?q=a").json["results"]} == {None}


def test_a_photo_has_none(searcher, asking, monkeypatch):
    monkeypatch.setattr(searcher.index, "photo", [True] * len(searcher.index))
    asked = asking()
    assert "photo" in check(asked(RED), 404)
    assert {one["preview"] for one in asked("/api/search?q=a").json["results"]} == {None}


@pytest.mark.parametrize(
    "path",
    [
        *("/preview/", "/preview/..", "/preview/..%2f..%2fetc%2fpasswd", "/preview/red.mp4"),
        *(f"/preview/{searchable.moment('none.mp4')}", f"/preview/{searchable.moment('a', 9**9)}"),
        *(f"{RED}/", f"{RED}.mp4", "/preview/%00", f"/preview/{'9' * 5000}", f"{RED}%00"),
    ],
    ids=lambda path: path[:30],
)
def test_paths_lead_nowhere(asking, path):
    check(asking()(path), 404)


def test_nothing_outside_the_folder_is_shown(searcher, asking, tmp_path, monkeypatch):
    (tmp_path / "videos").mkdir()
    (tmp_path / "secret.mp4").write_bytes(b"secret")
    (tmp_path / "videos" / "link.mp4").symlink_to(tmp_path / "secret.mp4")
    (tmp_path / "videos" / "folder.mp4").mkdir()
    monkeypatch.setattr(searcher.index, "root", tmp_path / "videos")
    asked = asking()
    for name in ("link.mp4", "folder.mp4", "gone.mp4"):
        monkeypatch.setattr(searcher.index, "names", [name] * len(searcher.index))
        check(asked(RED), 404)
    assert not (tmp_path / "calls.txt").exists() and not (tmp_path / "kept").exists()


@pytest.fixture
def film(tmp_path):
    path = tmp_path / "film.avi"
    path.write_bytes(b"film")
    return path


def calls(film: Path) -> list[str]:
    told = film.parent / "calls.txt"
    return told.read_text().split() if told.exists() else []


class Client:
    """A request whose client stays, or leaves after some seconds."""

    def __init__(self, stays: float = 3600):
        self.stays = stays

    async def receive(self):
        await asyncio.sleep(self.stays)
        return {"type": "http.disconnect"}


def find(made: Previews, clips, client=Client):
    """The answers to all of them at once: a path and its state, or what was raised."""

    async def ask_all():
        asked = (made.find(clip, clip.path.stat(), client()) for clip in clips)
        return await asyncio.gather(*asked, return_exceptions=True)

    return completed(ask_all())


@pytest.fixture
def make(tmp_path):
    begun = []

    def start(function=stand_in_previews.make, limit=10**6, seconds=60.0):
        limits = Limits(seconds, 1.0)
        begun.append(Previews(Shelf(tmp_path / "kept", limit), function, limits, processes=2))
        return begun[-1]

    yield start
    for one in begun:
        one.close()


def test_the_shelf_holds_as_many_bytes_as_the_gibibytes_that_were_asked_for(tmp_path):
    with previews.kept_in(tmp_path, 0.25) as kept:
        assert kept is not None and kept.shelf.limit == 2**28
    with previews.kept_in(None, 0.25) as none:
        assert none is None


def test_who_asks_for_the_same_clip_waits_for_one(make, film):
    answers = find(make(stand_in_previews.make_slowly), [Clip(film, 3.0, 4.0)] * 50)
    assert len({path for path, _ in answers}) == 1 and calls(film) == ["3"]


def test_so_many_are_waited_for_at_once_and_more_are_refused(make, film):
    made = make(stand_in_previews.make_slowly)
    found = find(made, [Clip(film, float(n), n + 1.0) for n in range(previews.MAX_MAKING + 20)])
    refused = [one for one in found if isinstance(one, HTTPException)]
    assert {(one.status_code, one.detail) for one in refused} == {
        (503, "too many previews at once")
    }
    assert len(refused) == 20 and len(calls(film)) == previews.MAX_MAKING
    assert not made.making, "and it goes on"
    assert find(made, [Clip(film, 99.0, 100.0)])[0][1].st_size == stand_in_previews.SIZE


def test_nothing_is_made_for_clients_that_left_before_it_began(make, film):
    made = make(stand_in_previews.make_slowly)
    clips = [Clip(film, float(n), n + 1.0) for n in range(11)]
    # The last one comes when the others have left, and waits its turn.
    stay = iter([0.05] * 10 + [3600])

    async def ask_all():
        asked = [made.find(clip, clip.path.stat(), Client(next(stay))) for clip in clips]
        return await asyncio.gather(*asked[:-1], return_exceptions=True), await asked[-1]

    left, (path, _) = completed(ask_all())
    assert all(isinstance(one, HTTPException) and one.status_code == 503 for one in left)
    assert path.exists() and not made.making
    assert len(calls(film)) <= 3, "those that had begun, and the last"


def test_a_client_that_leaves_takes_nothing_from_who_stays(make, film):
    made = make(stand_in_previews.make_slowly)
    stay = iter([0.05, 3600, 0.05])
    found = find(made, [Clip(film, 1.0, 2.0)] * 3, lambda: Client(next(stay)))
    assert [isinstance(one, HTTPException) for one in found] == [True, False, True]


@pytest.mark.parametrize(
    ("start", "reason"),
    [
        (1.0, "the decoder crashed (exit code -6)"),
        (2.0, "not decoded after 2 seconds"),
        (3.0, "breaks after 3 frames"),
    ],
)
def test_a_video_that_can_not_be_shown_is_told_once_and_not_tried_again(make, film, start, reason):
    made = make(stand_in_previews.fail, seconds=2.0)
    clip = Clip(film, start, start + 1)
    for _ in range(2):
        (told,) = find(made, [clip])
        assert (told.status_code, told.detail) == (404, f"no preview can be made of it: {reason}")
    assert len(calls(film)) == 1
    made.failed = OrderedDict({name: one._replace(until=0.0) for name, one in made.failed.items()})
    find(made, [clip])
    assert len(calls(film)) == 2, "later it may work"


def test_a_bomb_costs_its_limit_and_the_next_video_is_shown(make, film):
    made = make(stand_in_previews.fail, seconds=1.0)
    find(made, [Clip(film, 2.0, 3.0)] * 9)
    assert find(made, [Clip(film, 5.0, 6.0)])[0][1].st_size == stand_in_previews.SIZE


def test_a_full_shelf_and_a_full_disk_are_told(asking, searcher, tmp_path, monkeypatch):
    root = tmp_path / "videos"
    root.mkdir()
    (root / "film.mp4").write_bytes(b"film")
    monkeypatch.setattr(searcher.index, "root", root)
    monkeypatch.setattr(searcher.index, "names", ["film.mp4"] * len(searcher.index))
    assert asking(limit=15_000)(RED).status == 200
    said = check(asking(limit=15_000)(LONG), 507)
    assert said.startswith("the preview can't be kept: ") and "60 seconds" in said
    with room(1000):
        said = check(asking()(LONG), 507)
    assert said == "the preview can't be kept: File too large"
    assert len([*(tmp_path / "kept").iterdir()]) == 1, "nothing by halves"


def test_a_preview_belongs_to_the_video_as_it_is_now(make, film):
    made, clip = make(), Clip(film, 1.0, 2.0)
    name = name_of(clip, film.stat())
    find(made, [clip])
    film.write_bytes(b"another film")
    assert name_of(clip, film.stat()) != name
    find(made, [clip, clip._replace(start=1.5)])
    os.utime(film, ns=(1, 1))
    find(made, [clip])
    assert len(calls(film)) == 4


def test_a_strip_is_made_and_kept_as_a_preview_is(server):
    running, folder = server
    before = {path.name for path in folder.iterdir()}
    replies = [running.ask(STRIP) for _ in range(2)]
    assert {(one.status, one.headers["content-type"]) for one in replies} == {(200, "image/jpeg")}
    (made,) = {path.name for path in folder.iterdir()} - before
    assert made.endswith(".jpg") and (folder / made).read_bytes() == replies[0].body
    with Image.open(io.BytesIO(replies[0].body)) as image:
        assert image.size == (strip.FRAMES * strip.WIDTH, strip.HEIGHT)


def test_what_may_change_is_asked_for_again(server):
    """Else a browser would play a film that was replaced, or run modules of another version."""
    running, _ = server
    film = RED.replace("preview", "video")
    for path in ("/", "/page.js", film, RED, STRIP, "/api/search?q=a"):
        assert running.ask(path).headers["cache-control"] == "private, no-cache", path
    part = running.ask(film, Range="bytes=0-9")
    assert (part.status, part.headers["cache-control"]) == (206, "private, no-cache")
    for path in ("/page.js", film, RED, STRIP):
        tag = running.ask(path).headers["etag"]
        for known in (tag, f'"other", W/{tag}', "*"):
            same = running.ask(path, If_None_Match=known)
            assert (same.status, same.body, same.headers["etag"]) == (304, b"", tag), path
            assert same.headers["cache-control"] == "private, no-cache"
        assert running.ask(path, If_None_Match='"other"').status == 200
        assert running.ask(path, If_None_Match=tag, Range="bytes=0-9").status == 206


def test_there_is_no_strip_where_there_is_no_preview(searcher, asking, monkeypatch):
    guarded = guard.Guard(app.make_app(searcher))
    assert check(ask(guarded, STRIP), 404) == "this server makes no previews"
    check(asking()(f"/strip/{searchable.moment('none.mp4')}"), 404)
    monkeypatch.setattr(searcher.index, "photo", [True] * len(searcher.index))
    assert "photo" in check(asking()(STRIP), 404)
