"""Queries of several parts over the network: pictures that have an address, moments, weights."""

import io

import numpy as np
import pytest
from PIL import Image

from animclip_jax.serving import answers
from animclip_jax.serving.pictures import Kept, Pictures
from animclip_jax.serving.service import MAX_PICTURE_BYTES
from tests import searchable
from tests.served import Served, served

LAST = searchable.moment("long.mp4", 2)
HOSTILE = (
    *("like=1", "like=../../etc", f"like={'0' * 32}", f"like={searchable.moment('none.mp4')}"),
    *(f"like={LAST}^0", f"like={LAST}^1e9", f"like={LAST}^-1", f"unlike={LAST}^", "without="),
    *(f"without={'a' * 1001}", "&".join([f"like={LAST}"] * 9), "q=a^0"),
    f"like={LAST}&unlike={LAST}",
    *("q=a%20-b%20-c%20-d%20-e%20-f%20-g%20-h%20-i", "like=", f"like={'a' * 5000}"),
)


@pytest.fixture(scope="module")
def server(indexed):
    with served(indexed) as running:
        yield running


def png(picture: np.ndarray | None = None) -> bytes:
    red = searchable.shot(searchable.RED, 16)[8]
    buffer = io.BytesIO()
    Image.fromarray(red if picture is None else picture).save(buffer, "PNG")
    return buffer.getvalue()


def send(server: Served, body: bytes, query: str = "", kind: str = "image/png"):
    return server.ask(f"/api/search?{query}", "POST", body, content_type=kind)


def test_a_picture_that_was_sent_has_an_address(server):
    sent = send(server, png(), "n=3").json
    (like,) = sent["like"]
    assert (like["weight"], like["video"], like["start"]) == (1, None, None)
    again = server.ask(f"/api/search?n=3&like={like['id']}").json
    answers.Answer.model_validate(again)
    assert again["results"] == sent["results"] and again["like"] == sent["like"]
    shown = server.ask(f"/picture/{like['id']}")
    assert (shown.status, shown.headers["content-type"]) == (200, "image/jpeg")
    assert max(Image.open(io.BytesIO(shown.body)).size) <= 320


def test_more_like_a_result_finds_it_first(server):
    told = server.ask(f"/api/search?like={LAST}").json
    best = told["results"][0]
    assert best["id"] == LAST and best["coarse"] == pytest.approx(1, abs=1e-5)
    assert told["stage"] == "coarse"
    (like,) = told["like"]
    assert like["video"] == "long.mp4" and like["start"] == pytest.approx(best["start"], abs=0.01)


def test_sentence_picture_and_moment_are_added(server):
    query = f"q=a%20block%20-water&without=a%20card&unlike={LAST}^90&group=0"
    told = send(server, png(), query).json
    assert told["stage"] == "reranked" and told["results"][-1]["id"] == LAST
    assert [one["weight"] for one in told["like"]] == [-90, 1]


@pytest.mark.parametrize("query", HOSTILE, ids=lambda query: query[:30])
def test_what_is_no_query_is_a_400(server, query):
    reply = server.ask(f"/api/search?{query.replace('^', '%5E')}")
    assert reply.status == 400 and set(reply.json) == {"error"}, reply.json


def test_bombs_and_huge_pictures_are_bounded(server):
    bomb = io.BytesIO()
    Image.new("1", (9_000, 9_000)).save(bomb, "PNG")
    assert len(bomb.getvalue()) < MAX_PICTURE_BYTES
    for body, status, told in (
        (bomb.getvalue(), 400, "9000 x 9000 pixels, wanted"),
        (b"\0" * (MAX_PICTURE_BYTES + 1), 413, "over"),
        (b"<svg/>", 400, "cannot identify it as a picture"),
    ):
        reply = send(server, body, "q=a")
        assert reply.status == status and told in reply.json["error"]
    assert send(server, png(), "q=a").status == 200


def test_the_pictures_that_are_kept_are_bounded():
    kept = Pictures(most=2)
    ids = []
    for number in range(3):
        ids.append(kept.keep(bytes([number]), Kept(np.zeros(3), bytes([number]))))
        kept.find(ids[0])
    found = [kept.find(one) for one in ids]
    assert [one and one.thumbnail for one in found] == [b"\0", None, b"\2"]
