"""Latencies of a server that waits a known time, and refuses some."""

import http.server
import json
import threading
import time
from typing import Any

import pytest

from benchmarks import serving


class Slow(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    refuse = False

    def do_GET(self):
        told: dict[str, Any] = {"segments": 7, "reranks": True}
        status = 200
        if self.path.startswith("/api/search"):
            time.sleep(0.02)
            told = {"milliseconds": {"encode": 5.0, "rerank": 10.0}}
            status = 503 if self.refuse and "dog" in self.path else 200
        body = json.dumps(told).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def url():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Slow) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,)).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.long
def test_rows_tell_what_clients_waited(url, tmp_path, capsys):
    path = tmp_path / "serving.json"
    assert serving.main([url, "--clients", "1", "3", "--quick", "--json", str(path)]) == 0
    told = json.loads(path.read_text())
    assert told["index"] == {"segments": 7, "reranks": True}
    for clients, row in zip((1, 3), told["rows"], strict=True):
        assert (row["clients"], row["answered"], row["refused"], row["failed"]) == (
            clients,
            60,
            0,
            0,
        )
        assert 20 <= row["p50_ms"] <= row["p99_ms"] and row["server_p50_ms"] == 15
    assert "7 segments, two stages" in capsys.readouterr().out


def test_what_was_refused_is_counted_apart(url, monkeypatch):
    monkeypatch.setattr(Slow, "refuse", True)
    row = serving.measure(url.removeprefix("http://"), 2, 24)
    assert (row["answered"], row["refused"], row["failed"]) == (20, 4, 0)


def test_no_server_is_told(capsys):
    assert serving.main(["http://127.0.0.1:1", "--quick"]) == 1
    assert capsys.readouterr().err.startswith("serving: http://127.0.0.1:1: ")
