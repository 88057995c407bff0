"""Downloads: a pinned commit, safetensors only, and quick words where there is no network."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from animclip_jax.weights import hub
from tests.repository import ROOT


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[tuple]:
    """Stands in for the Hub, which has every file; what it was asked for."""
    huggingface_hub = pytest.importorskip("huggingface_hub")
    calls: list[tuple] = []

    def download(repository: str, name: str, revision: str) -> str:
        calls.append((repository, name, revision))
        (tmp_path / name).touch()
        return str(tmp_path / name)

    def cached(repository: str, name: str, revision: str) -> str:
        return str(tmp_path / name)

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", cached)
    return calls


def test_a_pinned_commit_and_no_pickle(asked, tmp_path):
    assert hub.download("openai/clip-vit-base-patch32") == tmp_path
    commit = hub.REVISIONS["openai/clip-vit-base-patch32"]
    assert len(commit) == 40 and {call[2] for call in asked} == {commit}
    names = {call[1] for call in asked}
    assert names == {"config.json", "preprocessor_config.json", "model.safetensors"}


def test_another_commit_can_be_named(asked):
    hub.download("someone/clip", "0" * 40)
    assert {call[::2] for call in asked} == {("someone/clip", "0" * 40)}


def test_branches_and_unknown_repositories_are_refused(asked):
    with pytest.raises(ValueError, match="wanted a commit, 40 hexadecimal digits"):
        hub.download("openai/clip-vit-base-patch32", "main")
    with pytest.raises(ValueError, match="someone/clip: no such file or folder; .*--revision"):
        hub.download("someone/clip")
    assert asked == []


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
