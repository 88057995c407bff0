"""Names of places, and those where nothing can be read or published."""

import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from animclip_jax import index, search
from animclip_jax.engines import place
from animclip_jax.engines.engine import EngineError
from animclip_jax.engines.opening import connect
from animclip_jax.engines.place import Place


@pytest.mark.parametrize(
    "text, wanted",
    [
        ("lancedb:/x/y", Place("lancedb", "/x/y")),
        ("lancedb:s3://bucket/x", Place("lancedb", "s3://bucket/x")),
        ("qdrant:https://q.test:6333/films", Place("qdrant", "https://q.test:6333/films")),
        ("parquet:out", Place("parquet", "out")),
        ("index", None),
        ("C:index", None),
    ],
)
def test_names(text, wanted):
    assert place.given(text) == wanted


@pytest.mark.parametrize(
    "text, told",
    [
        ("lancedb:", "wanted lancedb:, and behind it a folder or a bucket"),
        ("qdrant:localhost", "such as qdrant:http://localhost:6333"),
        ("qdrant:http://", "an http or https URL"),
        ("parquet:s3://bucket", "a folder of this machine"),
        ("parquet:.", "a folder with a name of its own, such as parquet:films"),
        ("parquet:films/..", "a folder with a name of its own"),
        ("milvus:x", "wanted one of lancedb:, qdrant:, parquet:"),
    ],
)
def test_a_wrong_name_is_refused_before_anything_is_done(text, told, capsys):
    with pytest.raises(SystemExit):
        index.main(["videos", "--model=m", "--out=o", f"--to={text}"])
    assert told in capsys.readouterr().err


def test_where_nothing_is_one_line_says_so(tmp_path, capsys):
    for text, told in (
        (f"lancedb:{tmp_path / 'none'}", "no index is published there; animclip index --to"),
        ("lancedb:bogus://x", "No object store provider found for scheme"),
        ("qdrant:http://127.0.0.1:9", "is the server up, and is this its URL?"),
        ("qdrant:http://127.0.0.1:9/a/b", "wanted a collection's name"),
        (f"parquet:{tmp_path}", "is for other programs"),
    ):
        assert search.main([text, "a dog"]) == 1
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith(f"animclip search: {text}: ") and told in line
    assert not list(tmp_path.iterdir()), "a search makes no folder"


@pytest.mark.parametrize("engine, library", [("lancedb", "lancedb"), ("qdrant", "qdrant_client")])
def test_a_library_that_is_missing_is_named_with_what_installs_it(engine, library, monkeypatch):
    ours = f"animclip_jax.engines.{'lance' if engine == 'lancedb' else engine}"
    monkeypatch.delitem(sys.modules, ours, raising=False)
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(EngineError, match=rf'{library}.*pip install "animclip-jax\[{engine}\]"'):
        connect(Place(engine, "http://127.0.0.1:9"))


def test_a_folder_of_something_else_stays_as_it_is(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(EngineError, match="holds something other than tables of LanceDB"):
        connect(Place("lancedb", str(tmp_path)))
    assert [one.name for one in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize(
    "answer, told",
    [
        ({"title": "qdrant", "version": "1.9.7"}, r"Qdrant 1\.9\.7; wanted 1\.10 or a later 1"),
        ({"title": "another server"}, "is the server up, and is this its URL"),
    ],
)
def test_a_server_that_does_not_fit_is_named(answer, told):
    class Answers(BaseHTTPRequestHandler):
        def do_GET(self):
            body = json.dumps(answer).encode()
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Answers)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        with pytest.raises(EngineError, match=told):
            connect(Place("qdrant", f"http://127.0.0.1:{server.server_port}"))
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
