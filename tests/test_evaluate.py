"""`animclip evaluate` on a run of its own making, and the search with an oracle for a model."""

import numpy as np

from animclip_jax import evaluate, results, train
from animclip_jax.models.retriever import TextFeatures, VideoFeatures
from tests.test_train import SHRUNK


class Oracle:
    """Knows which caption belongs to which video: its embedding names the video."""

    def __init__(self, fused_sign: float):
        self.fused_sign = fused_sign

    def fused_scores(self, text: TextFeatures, video: VideoFeatures) -> np.ndarray:
        return self.fused_sign * (text.embedding * video.embedding).sum(axis=1)


def gallery() -> evaluate.Gallery:
    owner = np.array([0, 0, 1, 2, 2, 2, 3, 4])
    videos = np.eye(5, dtype=np.float32)
    texts = 0.9 * videos[owner] + 0.1 * np.roll(videos[owner], 1, axis=1)
    hidden, mask = np.zeros((8, 2, 1), np.float32), np.ones((8, 2), bool)
    return evaluate.Gallery(
        VideoFeatures(videos, np.zeros((5, 1, 1), np.float32)),
        TextFeatures(texts, hidden, mask),
        owner,
    )


def test_an_oracle_finds_everything_in_both_directions():
    for by_text in (True, False):
        ranked, seconds = evaluate.search(Oracle(1.0), gallery(), by_text, 3)
        assert (ranked.coarse_ranks == 1).all() and (ranked.reranked_ranks == 1).all()
        assert set(seconds) == {"coarse", "rerank"}


def test_a_reranker_that_is_always_wrong_puts_the_right_one_last_of_k():
    ranked, _ = evaluate.search(Oracle(-1.0), gallery(), True, 3)
    assert (ranked.coarse_ranks == 1).all()
    assert (ranked.reranked_ranks == 3).all()
    assert (ranked.ceiling_ranks == 1).all()


def test_evaluates_a_finished_run_again(tmp_path, capsys):
    workdir = tmp_path / "run"
    flags = [*SHRUNK, "--config.steps=2", f"--config.data.cache_dir={tmp_path / 'cache'}"]
    assert train.main([*flags, f"--workdir={workdir}"]) == 0
    first = results.read(workdir / "results.json")
    again = ["--workdir", str(workdir), "--out", str(tmp_path / "again")]
    assert evaluate.main(again) == 0
    second = results.read(tmp_path / "again" / "results.json")
    for direction in ("text_to_video", "video_to_text", "chance"):
        assert first[direction] == second[direction]
    assert evaluate.main([*again, "--config.data.eval=drawn:val:6"]) == 0
    assert results.read(tmp_path / "again" / "results.json")["num_videos"] == 6


def test_a_folder_without_a_run_is_named(tmp_path, capsys):
    try:
        code = evaluate.main(["--workdir", str(tmp_path)])
    except SystemExit as stop:
        code = stop.code
    assert code in (1, 2)
    assert str(tmp_path) in capsys.readouterr().err
