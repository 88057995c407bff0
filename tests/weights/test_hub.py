"""Downloads: one commit, only what is read, safetensors unless a commit is named; no network."""

import hashlib
import http.server
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from animclip_jax import convert
from animclip_jax.weights import folder, hub
from tests.repository import ROOT
from tests.weights.reference import GOLDEN, GOLDEN_CLIP

COMMIT, OTHER = "a" * 40, "b" * 40
CONFIG = (GOLDEN / "one_head.json").read_bytes()
TENSORS = (GOLDEN / "model.safetensors").read_bytes()
HF = {"config.json": CONFIG, "model.safetensors": TENSORS}


class Hub:
    """A Hub of one repository on loopback. files: by name; gets: the names that were sent."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files, self.gets = files, list[str]()
        stand_in = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_HEAD(self) -> None:
                self.answer(False)

            def do_GET(self) -> None:
                self.answer(True)

            def answer(self, whole: bool) -> None:
                parts = self.path.strip("/").split("/")
                commit = next((part for part in parts if part in (COMMIT, OTHER)), COMMIT)
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
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    constants = pytest.importorskip("huggingface_hub.constants")
    found = Hub(dict(HF))
    monkeypatch.setattr(constants, "ENDPOINT", found.address)
    template = found.address + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.chdir(tmp_path)
    yield found
    found.close()


def test_a_name_alone_is_enough_for_safetensors_and_its_commit_is_kept(stand_in, tmp_path, capsys):
    stand_in.files |= {"README.md": b"", "pytorch_model.bin": b"", "tf_model.h5": b""}
    assert convert.main(["some/clip", "--out", str(tmp_path / "out")]) == 0
    assert set(stand_in.gets) == {"config.json", "model.safetensors"}
    assert f"from some/clip at commit {COMMIT}" in capsys.readouterr().out
    document = json.loads((tmp_path / "out/config.json").read_text())
    assert document["origin"] == {"repository": "some/clip", "commit": COMMIT}
    assert folder.load(tmp_path / "out")[1] == GOLDEN_CLIP


def test_what_is_in_the_cache_needs_no_network(stand_in, tmp_path):
    assert hub.download("some/clip") == hub.download("some/clip", COMMIT)
    stand_in.close()
    stand_in.gets.clear()
    for revision in (None, COMMIT):
        assert hub.download("some/clip", revision).commit == COMMIT
    with pytest.raises(OSError, match=f"some/clip at {OTHER}: can't be downloaded"):
        hub.download("some/clip", OTHER)


@pytest.mark.parametrize(
    "there, wanted",
    [
        (["open_clip_model.safetensors", "open_clip_config.json", *HF], (3, 2)),
        (["model.safetensors.index.json", "model-00001-of-00002.safetensors"], None),
        (["spiece.model", "tokenizer_config.json", "merges.txt", *HF], None),
    ],
    ids=["open_clip", "shards", "vocabulary"],
)
def test_only_what_is_read_is_downloaded(stand_in, there, wanted):
    # Each with other bytes, for the Hub's client downloads equal files once.
    stand_in.files = {name: name.encode() for name in [*there, "config.json", "optimizer.bin"]}
    expected = set(there) - {"merges.txt"} | {"config.json"}
    if wanted:
        expected = {"open_clip_model.safetensors", "open_clip_config.json"}
    if "model-00001-of-00002.safetensors" in there:
        with pytest.raises(ValueError, match="some/clip: no weights that can be read"):
            hub.download("some/clip")
        stand_in.files["model-00002-of-00002.safetensors"] = b"2"
        expected |= {"model-00002-of-00002.safetensors"}
    found = hub.download("some/clip")
    assert set(stand_in.gets) == expected == {path.name for path in found.path.iterdir()}


@pytest.mark.parametrize("name", ["pytorch_model.bin", "open_clip_pytorch_model.bin", "PE-Core.pt"])
def test_other_weights_want_a_commit(stand_in, name):
    stand_in.files = {"config.json": CONFIG, "open_clip_config.json": b"{}", name: b"weights"}
    with pytest.raises(ValueError, match=rf"some/clip: .*no safetensors, give --revision.*{name}"):
        hub.download("some/clip")
    assert stand_in.gets == []
    found = hub.download("some/clip", OTHER)
    assert found.commit == OTHER and name in stand_in.gets
    assert found.path.is_file() == name.endswith(".pt")


def test_a_branch_is_no_commit_and_a_repository_without_weights_says_what_it_has(stand_in):
    with pytest.raises(ValueError, match="wanted a commit, 40 hexadecimal digits"):
        hub.download("openai/clip-vit-base-patch32", "main")
    stand_in.files = {"README.md": b""}
    with pytest.raises(ValueError, match="no weights that can be read, .*; it has README.md"):
        hub.download("some/clip")
    assert stand_in.gets == []


def test_names_that_the_hub_could_have():
    assert hub.is_repository("openai/clip-vit-base-patch32")
    for name in ("clip", "/tmp/clip", "../clip", "./clip", "a/b/c", "~/clip"):
        assert not hub.is_repository(name), name


def test_without_a_network_it_says_so_soon(tmp_path):
    pytest.importorskip("huggingface_hub")
    environment = os.environ | {
        "HF_ENDPOINT": "http://127.0.0.1:9",  # nobody listens there
        "HF_HOME": str(tmp_path),
        "PYTHONPATH": str(ROOT),
        "JAX_PLATFORMS": "cpu",
    }
    command = ["convert", "openai/clip-vit-base-patch32", "--out", str(tmp_path / "out")]
    run = subprocess.run(
        [sys.executable, "-m", "animclip_jax", *command],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,  # retries of minutes are not "soon", whatever else the machine does
    )
    assert run.returncode == 1
    assert "openai/clip-vit-base-patch32 at c237dc49" in run.stderr
    assert "can't be downloaded" in run.stderr and "Traceback" not in run.stderr
    assert not (tmp_path / "out").exists()
