"""What stands in for the Hugging Face Hub: a server of one repository on loopback."""

import base64
import hashlib
import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

COMMIT, OTHER = "a" * 40, "b" * 40


def send(handler: http.server.BaseHTTPRequestHandler, code: int, found: dict) -> None:
    """Answers with JSON, as the Hub does."""
    data = json.dumps(found).encode()
    handler.send_response(code)
    if code == 404:
        handler.send_header("X-Error-Code", "RepoNotFound")
    if "error" in found:
        handler.send_header("X-Error-Message", found["error"])
    handler.send_header("Content-Length", str(len(data)))
    handler.send_header("Content-Type", "application/json")
    handler.end_headers()
    handler.wfile.write(data)


class Hub:
    """files: by name; newest: the commit of main; gets: the names that were sent.

    With `empty` there is no repository until one is made; `token` is the one that may do so.
    """

    def __init__(self, files: dict[str, bytes], empty: bool = False, token: str = "") -> None:
        self.files, self.gets, self.newest = files, list[str](), COMMIT
        self.empty, self.token, self.made = empty, token, list[dict]()
        stand_in = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_HEAD(self) -> None:
                self.answer(False)

            def do_GET(self) -> None:
                self.answer(True)

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                known = self.is_known()
                send(self, 200 if known else 401, stand_in.posted(self.path, body) if known else {})

            def is_known(self) -> bool:
                return self.headers["Authorization"] == f"Bearer {stand_in.token}"

            def answer(self, whole: bool) -> None:
                parts = self.path.strip("/").split("/")
                if parts[1:] == ["whoami-v2"]:
                    name = {"name": "some", "type": "user"}
                    return send(self, 200 if self.is_known() else 401, name)
                if "Authorization" in self.headers and not self.is_known():
                    # As the Hub does, whatever is asked.
                    return send(self, 401, {"error": "Invalid credentials in Authorization header"})
                if parts[0] == "api" and stand_in.empty:
                    return send(self, 404, {"error": "Repository not found"})
                commit = next((part for part in parts if part in (COMMIT, OTHER)), stand_in.newest)
                if parts[0] == "api":
                    siblings = [{"rfilename": name} for name in stand_in.files]
                    found = {"id": "some/clip", "sha": commit, "siblings": siblings}
                    data: bytes | None = json.dumps(found).encode()
                else:
                    data = stand_in.files.get(parts[-1])
                    stand_in.gets += [parts[-1]] if whole else []
                self.send_response(404 if data is None else 200)
                self.send_header("Content-Length", str(len(data or b"")))
                self.send_header("ETag", f'"{hashlib.sha1(data or b"").hexdigest()}"')
                self.send_header("X-Repo-Commit", commit)
                self.end_headers()
                if whole and data:
                    self.wfile.write(data)

            def log_message(self, *_: object) -> None:
                """Says nothing."""

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def posted(self, path: str, body: bytes) -> dict:
        """What the Hub answers to one that makes a repository and commits files to it."""
        what = path.rstrip("/").split("/")
        if path == "/api/repos/create":
            self.empty = False
            self.made.append(json.loads(body))
            return {"url": f"{self.address}/some/clip"}
        if "preupload" in what:
            names = [one["path"] for one in json.loads(body)["files"]]
            sent = {"uploadMode": "regular", "shouldIgnore": False}
            return {"files": [{"path": name, **sent} for name in names]}
        if "commit" in what:
            lines = [json.loads(line)["value"] for line in body.splitlines()]
            for one in (line for line in lines if "content" in line):
                self.files[one["path"]] = base64.b64decode(one["content"])
            address = f"{self.address}/some/clip/commit/{COMMIT}"
            return {"success": True, "commitUrl": address, "commitOid": COMMIT}
        return {"warnings": [], "errors": []}  # of the YAML above the card

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


def opened(
    files: dict[str, bytes], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, **given: Any
) -> Iterator[Hub]:
    """A Hub that the Hub's client asks, with its cache in a folder of the test; for a fixture.

    given: as `Hub`.
    """
    constants = pytest.importorskip("huggingface_hub.constants")
    found = Hub(files, **given)
    monkeypatch.setattr(constants, "ENDPOINT", found.address)
    template = found.address + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.chdir(tmp_path)
    yield found
    found.close()
