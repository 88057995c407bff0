"""What stands in for the Hugging Face Hub: a server of one repository on loopback."""

import hashlib
import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

COMMIT, OTHER = "a" * 40, "b" * 40


class Hub:
    """files: by name; newest: the commit of main; gets: the names that were sent."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files, self.gets, self.newest = files, list[str](), COMMIT
        stand_in = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_HEAD(self) -> None:
                self.answer(False)

            def do_GET(self) -> None:
                self.answer(True)

            def answer(self, whole: bool) -> None:
                parts = self.path.strip("/").split("/")
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

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


def opened(
    files: dict[str, bytes], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[Hub]:
    """A Hub that the Hub's client asks, with its cache in a folder of the test; for a fixture."""
    constants = pytest.importorskip("huggingface_hub.constants")
    found = Hub(files)
    monkeypatch.setattr(constants, "ENDPOINT", found.address)
    template = found.address + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.chdir(tmp_path)
    yield found
    found.close()
