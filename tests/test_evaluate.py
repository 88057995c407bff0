"""`animclip evaluate` on a run of its own making; on several devices and processes."""

import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from animclip_jax import evaluate, train
from animclip_jax.evaluation import comparison, results
from animclip_jax.evaluation.table import table
from animclip_jax.runs import mirror, run_config
from configs import quickstart
from tests.a_run import SHRUNK


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """A finished run."""
    folder = tmp_path_factory.mktemp("evaluate")
    flags = [*SHRUNK, "--config.steps=2", f"--config.data.cache_dir={folder / 'cache'}"]
    assert train.main([*flags, f"--workdir={folder / 'run'}"]) == 0
    return folder / "run"


def test_evaluates_a_finished_run_again(run, tmp_path, capsys):
    first = results.read(run / "results.json")
    again = ["--workdir", str(run), "--out", str(tmp_path / "again")]
    assert evaluate.main(again) == 0
    printed = capsys.readouterr().out
    assert str(tmp_path / "again" / "report.html") in printed
    assert "What came out" in (tmp_path / "again" / "report.html").read_text()
    second = results.read(tmp_path / "again" / "results.json")
    for direction in ("text_to_video", "video_to_text"):
        for stage in results.STAGES:
            assert first[direction][stage] == second[direction][stage]
        assert [one["k"] for one in first[direction]["k_sweep"]] == [4]
        last = first[direction]["k_sweep"][-1]
        assert last["R@1"] == first[direction]["reranked"]["R@1"]
        assert last["ceiling"] == first[direction]["ceiling"]["R@1"]
    assert first["protocol"]["name"] == "drawn" and first["protocol"]["split"] == "val:12"
    assert first["coverage"] == {"wanted": 12, "found": 12}
    limit = first["shared_captions"]
    assert (
        limit["captions"] <= 12
        and limit["greatest_R@1"] >= first["text_to_video"]["ceiling"]["R@1"]
    )
    for name in ("chance", "queries", "protocol"):
        assert first[name] == second[name]
    assert evaluate.main([*again, "--config.data.eval=drawn:val:6"]) == 0
    other = results.read(tmp_path / "again" / "results.json")
    assert other["num_videos"] == 6 and other["queries"] != first["queries"]


def test_a_run_in_a_bucket(run, tmp_path, monkeypatch, capsys):
    """Here a folder plays the bucket."""
    bucket, cache = tmp_path / "bucket", tmp_path / "cache"
    shutil.copytree(run, bucket)
    (bucket / "report.html").unlink(missing_ok=True)
    monkeypatch.setattr(mirror, "is_remote", lambda workdir: str(workdir) == str(bucket))
    assert evaluate.main([f"--workdir={bucket}", f"--config.data.cache_dir={cache}"]) == 0
    assert str(bucket / "report.html") in capsys.readouterr().out
    assert "What came out" in (bucket / "report.html").read_text()
    found = results.read(bucket / "results.json")
    there = results.read(run / "results.json")
    for stage in results.STAGES:
        assert found["text_to_video"][stage] == there["text_to_video"][stage]
    assert any((cache / "runs").rglob("results.json"))  # written there first


def test_ranks_beside_the_results_are_those_of_the_scores(run):
    found = comparison.read(run / "results.json")
    for direction in results.DIRECTIONS:
        for stage in results.STAGES:
            ranks = found.ranks[f"{direction}/{stage}"]
            assert found.results[direction][stage]["R@5"] == pytest.approx(
                100 * np.mean(ranks <= 5)
            )
            assert found.results[direction][stage]["MnR"] == pytest.approx(ranks.mean())


def test_against_another_run(run, tmp_path, capsys):
    command = ["--workdir", str(run), "--out", str(tmp_path)]
    assert evaluate.main([*command, f"--against={run / 'results.json'}"]) == 0
    printed = capsys.readouterr().out
    assert "ours - theirs" in printed and printed.count("the same") == 30
    other = "--config.data.eval=drawn:val:6"
    assert evaluate.main([*command, f"--against={run / 'results.json'}", other]) == 1
    assert "its protocol's split is 'val:12', here it is 'val:6'" in capsys.readouterr().err
    assert evaluate.main([*command, f"--against={tmp_path / 'nowhere.json'}"]) == 1
    assert "nowhere.json" in capsys.readouterr().err


def test_what_can_not_be_compared_is_said_before_anything_is_evaluated(
    run, tmp_path, capsys, monkeypatch
):
    def embed(*_):
        raise AssertionError("it evaluates")

    monkeypatch.setattr(evaluate, "embed", embed)
    command = ["--workdir", str(run), "--out", str(tmp_path / "out")]
    against = f"--against={run / 'results.json'}"
    for change, said in {
        "data.eval=drawn:val:6": "its protocol's split is 'val:12', here it is 'val:6'",
        "evaluation.normalization=dsl": "its normalization is 'none', here it is 'dsl'",
    }.items():
        assert evaluate.main([*command, f"--config.{change}", against]) == 1
        assert said in capsys.readouterr().err
    assert not (tmp_path / "out" / "results.json").exists()
    other = json.loads((run / "results.json").read_text()) | {"queries": "0" * 64}
    (tmp_path / "results.json").write_text(json.dumps(other))
    shutil.copy(run / "ranks.npz", tmp_path)
    assert evaluate.main([*command, f"--against={tmp_path / 'results.json'}"]) == 1
    assert "set of videos and captions (a fingerprint) is '0000" in capsys.readouterr().err


def test_normalized_scores_are_marked(run, tmp_path, capsys):
    command = ["--workdir", str(run), "--out", str(tmp_path)]
    assert evaluate.main([*command, "--config.evaluation.normalization=dsl"]) == 0
    printed = capsys.readouterr().out
    assert "coarse DSL" in printed and "no search engine has" in printed
    assert "DSL: scores look at all queries" in (tmp_path / "report.html").read_text()
    assert evaluate.main([*command, f"--against={run / 'results.json'}"]) == 0
    capsys.readouterr()
    bank = [
        "--config.evaluation.normalization=qb_norm",
        "--config.evaluation.query_bank=drawn:train:48",
    ]
    assert evaluate.main([*command, *bank]) == 0
    capsys.readouterr()
    assert evaluate.main([*command, *bank, f"--against={run / 'results.json'}"]) == 1
    assert "its normalization is 'none', here it is 'qb_norm'" in capsys.readouterr().err
    assert "coarse QB-Norm" in table(results.read(tmp_path / "results.json"))
    for wrong in (bank[:1], bank[1:], [bank[0], "--config.evaluation.query_bank=drawn:val:12"]):
        assert evaluate.main([*command, *wrong]) == 1
        assert "qb_norm needs a bank of training captions" in capsys.readouterr().err
    assert evaluate.main([*command, "--config.evaluation.normalization=x"]) == 1
    assert "wanted one of none, dsl, qb_norm" in capsys.readouterr().err


def test_a_protocol_that_is_not_the_sources(run, tmp_path, capsys):
    command = ["--workdir", str(run), "--out", str(tmp_path / "out")]
    assert evaluate.main([*command, "--config.evaluation.protocol=msvd"]) == 1
    assert "wanted folder:STORE@split=test or" in capsys.readouterr().err
    assert not (tmp_path / "out" / "results.json").exists()


def test_a_folder_without_a_run_is_named(tmp_path, capsys):
    with pytest.raises(SystemExit, match="^2$"):
        evaluate.main(["--workdir", str(tmp_path)])
    assert str(tmp_path) in capsys.readouterr().err


# Everything of a model but the model: an embedding is the video's own number, bit by bit.
SCRIPT = """
import json, sys
import jax, jax.numpy as jnp, numpy as np
processes, process, port = map(int, sys.argv[1:4])
if processes > 1:
    jax.distributed.initialize(f"127.0.0.1:{port}", processes, process)
from ml_collections import ConfigDict
from animclip_jax import evaluate, sharding
from animclip_jax.models.retriever import TextFeatures, VideoFeatures
from animclip_jax.retrieval.encode import Encoder
from animclip_jax.evaluation.two_stage import Search

VIDEOS = 37
decoded, encoded = [], []

class Oracle(Encoder):
    def __init__(self, split):
        super().__init__(split, None, {})
        def one_hot(numbers):
            return jax.nn.one_hot(numbers, 64)
        def text(params, tokens):
            encoded.append(tokens.shape)
            return TextFeatures(one_hot(tokens[:, 1] - 1), tokens[..., None] * 1.0, tokens > 0)
        def video(params, frames):
            numbers = frames[:, 0, 0, 0, 0].astype(jnp.int32)
            return VideoFeatures(one_hot(numbers), numbers[:, None, None] * 1.0)
        def fused(params, text, rows, video, columns):
            return (text.embedding[rows] * video.embedding[columns]).sum(axis=1)
        self._encode_text, self._encode_video, self._fused_scores = (
            jax.jit(one, out_shardings=self.whole) for one in (text, video, fused))
    def _scale(self, graphdef):
        return 10.0

def batches(examples, config, batch_size, items):
    items = list(items)
    decoded.extend(int(item) for item in items)
    for start in range(0, len(items), batch_size):
        some = items[start : start + batch_size]
        frames = np.zeros((batch_size, 1, 2, 2, 3), np.uint8)
        frames[: len(some)] = np.asarray(some)[:, None, None, None, None]
        yield {"frames": frames, "index": np.pad(some, (0, batch_size - len(some)))}

class Numbers:
    def __init__(self, length, size): pass
    def __call__(self, captions):
        tokens = np.zeros((len(captions), 40), np.int32)
        for row, caption in enumerate(captions):
            tokens[row, : 3 + row % 36] = 1 + int(caption)
        return tokens

evaluate._frames, evaluate.Tokenizer = batches, Numbers
class Examples:
    ids = [f"v{n}" for n in range(VIDEOS)]
    captions = [[str(n)] * (1 + n % 3) for n in range(VIDEOS)]

config = ConfigDict({
    "evaluation": {"batch_size": 5}, "animation": {"num_frames": 1},
    "model": {"image_size": 2, "context_length": 40, "vocab_size": 100}})
mesh = sharding.make_mesh(sharding.MeshConfig(-1, 2))
oracle = Oracle(sharding.batch_sharding(mesh))
gallery = evaluate.embed(oracle, Examples, config)
report = {"decoded": decoded, "devices": jax.device_count(), "shapes": len(set(encoded))}
assert (gallery.video.embedding.argmax(axis=1) == np.arange(VIDEOS)).all()
assert (gallery.video.code[:, 0, 0] == np.arange(VIDEOS)).all()
assert (gallery.text.embedding.argmax(axis=1) == gallery.owner).all()
search = Search(oracle, gallery)
for by_text in (True, False):
    ranked, sweep, _ = search(by_text, 7)
    stages = ranked.coarse_ranks, ranked.reranked_ranks
    report[str(by_text)] = [int(ranks.max()) for ranks in stages]
    report[f"queries {by_text}"] = len(ranked.coarse_ranks)
print(json.dumps(report))
"""


def run_oracle(processes: int, devices: int) -> list[dict]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    flags = f"{os.environ['XLA_FLAGS']} --xla_force_host_platform_device_count={devices}"
    # No cache of compiled programs: two processes would read each other's half-written entries.
    environment = os.environ | {"XLA_FLAGS": flags, "JAX_ENABLE_COMPILATION_CACHE": "false"}
    running = [
        subprocess.Popen(
            [sys.executable, "-c", SCRIPT, str(processes), str(number), str(port)],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(processes)
    ]
    said = [one.communicate(timeout=300) for one in running]
    for one, (_, error) in zip(running, said, strict=True):
        assert one.returncode == 0, error
    return [json.loads(out.splitlines()[-1]) for out, _ in said]


@pytest.mark.parametrize("processes, devices", [(1, 8), (2, 4)])
def test_an_oracle_finds_everything_on_eight_devices(processes, devices):
    found = run_oracle(processes, devices)
    captions = sum(1 + n % 3 for n in range(37))
    for one in found:
        assert one["devices"] == 8
        assert one["True"] == one["False"] == [1, 1]
        assert (one["queries True"], one["queries False"]) == (captions, 37)
        assert one["shapes"] == 3  # lengths of captions
    # Every video is decoded once, by one of the processes.
    assert sorted(n for one in found for n in one["decoded"]) == list(range(37))
    assert all(len(one["decoded"]) > 0 for one in found)


def test_the_shells_own_arguments_may_change_settings(tmp_path, monkeypatch, capsys):
    """As `python -m animclip_jax.evaluate` has it; the change is one of a wrong type."""
    run_config.claim(tmp_path / "run", quickstart.get_config())
    given = [f"--workdir={tmp_path / 'run'}", "--config.seed=many"]
    monkeypatch.setattr(sys, "argv", ["evaluate.py", *given])
    with pytest.raises(SystemExit):
        evaluate.main()
    said = capsys.readouterr().err
    assert "--config.seed" in said and "no such flag" not in said
