"""Checkpoints come back bit-equal; another model's is refused, a damaged one named."""

import functools
import shutil
from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from orbax.checkpoint._src.path import gcs_utils

from animclip_jax import sharding
from animclip_jax.training import checkpoint
from animclip_jax.training.best_checkpoint import Validation
from animclip_jax.training.checkpoint import Checkpoints
from animclip_jax.training.step import TrainState


def state(scale: float = 1.0) -> TrainState:
    kernel = scale * jnp.arange(6.0).reshape(2, 3)
    return TrainState(jnp.int32(4), {"layer": {"kernel": kernel}}, (kernel + 1,))


def placed():
    """Where arrays live, from their shapes."""
    return functools.partial(
        sharding.state_sharding, sharding.make_mesh(sharding.MeshConfig(-1, 1))
    )


def newest(workdir) -> int | None:
    with checkpoint.Checkpoints(workdir, create=False) as checkpoints:
        return checkpoints.latest()


def test_what_is_saved_comes_back(tmp_path):
    with Checkpoints(tmp_path) as checkpoints:
        assert checkpoints.latest() is None
        checkpoints.save(4, state())
        checkpoints.save(4, state(2.0))  # that step is there already
    with Checkpoints(tmp_path) as checkpoints:
        assert checkpoints.latest() == 4
        found = checkpoints.restore(4, jax.tree.map(jnp.zeros_like, state()))
    jax.tree.map(np.testing.assert_array_equal, found, state())
    assert isinstance(found, TrainState)


def test_only_the_newest_are_kept(tmp_path):
    with Checkpoints(tmp_path, keep=2) as checkpoints:
        for number in (1, 2, 3):
            checkpoints.save(number, state())
    kept = {path.name for path in (tmp_path / "checkpoints").iterdir()}
    assert kept == {"2", "3"}


def test_an_earlier_step_takes_the_place_of_later_ones_that_are_removed(tmp_path):
    with Checkpoints(tmp_path, keep=1) as checkpoints:
        checkpoints.save(3, state())
    with Checkpoints(tmp_path, keep=1) as checkpoints:
        checkpoints.remove_from(2)
        checkpoints.save(2, state(2.0))
    assert newest(tmp_path) == 2
    with Checkpoints(tmp_path) as checkpoints:
        found = checkpoints.restore(2, state())
    jax.tree.map(np.testing.assert_array_equal, found, state(2.0))


def test_a_better_step_before_the_one_that_a_killed_run_kept_is_the_best(tmp_path, monkeypatch):
    scores = iter([50.0, 60.0])
    monkeypatch.setattr(
        "animclip_jax.evaluation.arm.evaluate",
        lambda *_: {"text_to_video": {"reranked": {"R@1": next(scores)}}},
    )
    config: Any = SimpleNamespace(source="drawn:val")
    mirror: Any = SimpleNamespace(local=tmp_path, remote=tmp_path)
    mesh: Any = None  # That of the search, which is replaced.
    made_of: dict[str, Any] = {"config": {"data": {}}}
    for step, found in ((3, state()), (2, state(2.0))):
        with Validation(config, mirror, mesh, dict(made_of)) as validation:
            assert "the best so far" in validation.look(step, found)
    with Checkpoints(tmp_path / "best", create=False) as checkpoints:
        assert checkpoints.latest() == 2 and checkpoints.read_made_of(2)["R@1"] == 60.0


VALIDATION, TRAIN = "validation.source", "data.train"
SOURCES = {TRAIN: "a1", VALIDATION: "b2", "data.eval": "c3"}


@pytest.mark.parametrize(
    ("before", "now", "goes_on", "counts"),
    [
        (SOURCES, SOURCES, True, True),
        (SOURCES, SOURCES, False, True),
        # Other videos are validated on: their scores are not comparable.
        (SOURCES, SOURCES | {VALIDATION: "other"}, True, False),
        # A kill came before the first checkpoint: what begins anew is another training.
        (SOURCES, SOURCES | {TRAIN: "other"}, False, False),
        # The same training goes on (--other-data), and its best step is still its best.
        (SOURCES, SOURCES | {TRAIN: "other"}, True, True),
        # What is tested chooses nothing; nor is what one of the two does not know another.
        (SOURCES, SOURCES | {"data.eval": "other"}, False, True),
        ({VALIDATION: "b2"}, SOURCES, False, True),
        (None, SOURCES, False, True),
    ],
)
def test_the_best_score_counts_where_it_is_of_the_same_data(
    tmp_path, monkeypatch, before, now, goes_on, counts
):
    scores = iter([50.0, 40.0])
    monkeypatch.setattr(
        "animclip_jax.evaluation.arm.evaluate",
        lambda *_: {"text_to_video": {"reranked": {"R@1": next(scores)}}},
    )
    config: Any = SimpleNamespace(source="drawn:val")
    mirror: Any = SimpleNamespace(local=tmp_path, remote=tmp_path)
    mesh: Any = None
    for step, sources in ((3, before), (4, now)):
        made_of = {"config": {"data": {}}} | ({"sources": sources} if sources else {})
        with Validation(config, mirror, mesh, made_of, goes_on) as validation:
            said = validation.look(step, state())
    assert ("the best was 50.0" in said) == counts
    assert newest(tmp_path / "best") == (3 if counts else 4)


def test_parameters_alone(tmp_path):
    mesh = sharding.make_mesh(sharding.MeshConfig(-1, 1))
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(4, state())
    with Checkpoints(tmp_path) as checkpoints:
        params = checkpoints.restore_params(4, lambda x: sharding.state_sharding(mesh, x))
    jax.tree.map(np.testing.assert_array_equal, params, state().params)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            lambda kernel: {"params": {"layer": {"kernel": jnp.zeros((5, 3))}}},
            r"wrong shape: params/layer/kernel is \(2, 3\), wanted \(5, 3\)",
        ),
        (
            lambda kernel: {"params": {"gate": kernel}},
            r"missing: params/gate \(2, 3\)\n  not expected: params/layer/kernel \(2, 3\)",
        ),
        (lambda kernel: {"opt_state": (kernel, kernel)}, r"missing: training/1/1 \(2, 3\)"),
        (lambda kernel: {"opt_state": (kernel,) * 20}, r"training/1/10 \(2, 3\)\n  and 9 more"),
        (lambda kernel: {"average": {"layer": {"kernel": kernel}}}, r"missing: training/2/layer"),
    ],
)
def test_a_checkpoint_of_another_model_is_refused(tmp_path, change, said):
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(4, state())
    other = state()._replace(**change(jnp.zeros((2, 3))))
    with Checkpoints(tmp_path) as checkpoints:
        with pytest.raises(ValueError, match=said) as refused:
            checkpoints.restore(4, other)
        assert "4 does not fit this configuration's model" in str(refused.value)
        # Nothing was read in vain: the checkpoint can be read as it is.
        found = checkpoints.restore(4, jax.tree.map(jnp.zeros_like, state()))
    jax.tree.map(np.testing.assert_array_equal, found, state())


@pytest.mark.parametrize(
    ("lost", "said"),
    [
        ("training", "KeyError.*training"),
        ("params/_METADATA", "params does not say which arrays it has"),
        ("params/manifest.ocdbt", "does not exist"),
        ("params/d", "Error reading"),
    ],
)
def test_a_damaged_checkpoint_is_named(tmp_path, lost, said):
    with Checkpoints(tmp_path) as checkpoints:
        for number in (2, 4):
            checkpoints.save(number, state())
    newest = tmp_path / "checkpoints" / "4"
    if (newest / lost).is_dir():
        shutil.rmtree(newest / lost)
    else:
        (newest / lost).unlink()
    like = jax.tree.map(jnp.zeros_like, state())
    with Checkpoints(tmp_path) as checkpoints:
        with pytest.raises(ValueError, match=rf"checkpoints/4 can't be read: .*{said}") as refused:
            checkpoints.restore(4, like)
        assert str(refused.value).endswith("delete it, and training continues from that of step 2")
        assert len(str(refused.value)) < 700
        shutil.rmtree(newest)
    with Checkpoints(tmp_path) as checkpoints:
        latest = checkpoints.latest()
        assert latest is not None
        found = checkpoints.restore(latest, like)
    jax.tree.map(np.testing.assert_array_equal, found, state())


@pytest.mark.parametrize(
    "folder, then",
    [
        ("run", "training starts from the beginning"),
        ("best", "the run's newest one is read instead"),
    ],
)
def test_what_a_checkpoint_was_made_of_can_be_damaged_too(tmp_path, folder, then):
    where = tmp_path / folder
    with Checkpoints(where, made_of={"data": "a1b2"}) as checkpoints:
        checkpoints.save(4, state())
    (where / "checkpoints" / "4" / "made_of" / "metadata").write_text('{"da')
    said = f"4 can't be read: JSON.* delete it, and {then}$"
    with Checkpoints(where) as checkpoints, pytest.raises(ValueError, match=said):
        checkpoints.read_made_of(4)


def test_what_it_was_made_of_is_kept_beside_it(tmp_path):
    with Checkpoints(tmp_path, made_of={"data": "a1b2", "config": {"seed": 3}}) as checkpoints:
        checkpoints.save(4, state())
    with Checkpoints(tmp_path) as checkpoints:
        assert checkpoints.read_made_of(4) == {"data": "a1b2", "config": {"seed": 3}}


@pytest.mark.parametrize("where", ["disk", "bucket"])
def test_a_run_that_validates_is_read_at_its_best_step(tmp_path, bucket, where):
    """As its results.json says; an unfinished one at the best so far, another at the newest."""
    run, shardings = tmp_path / where, placed()
    if where == "bucket":
        shutil.copytree(tmp_path / "disk", run)
    (run / "best").mkdir()
    steps, newest_params = checkpoint.read_params(run, shardings)
    assert steps == 4  # validated, but a kill came before the checkpoint
    with Checkpoints(run / "best", keep=1) as checkpoints:
        checkpoints.save(3, state(2.0))
    steps, best_params = checkpoint.read_params(run, shardings)
    assert steps == 3 and newest(run) == 4
    jax.tree.map(np.testing.assert_array_equal, newest_params, state().params)
    jax.tree.map(np.testing.assert_array_equal, best_params, state(2.0).params)


def test_a_run_without_a_checkpoint_has_no_step_to_read(tmp_path):
    said = "no checkpoint in .*run/checkpoints: train the run first"
    with pytest.raises(FileNotFoundError, match=said):
        checkpoint.read_params(tmp_path / "run", placed())
    assert not (tmp_path / "run").exists()


def test_searching_reads_the_average_where_there_is_one(tmp_path):
    frozen, average = {"kept": jnp.arange(5.0)}, jax.tree.map(lambda x: x / 2, state().params)
    averaged = state()._replace(params=state().params | frozen, average=average)
    searched = average | frozen
    jax.tree.map(np.testing.assert_array_equal, averaged.best_params, searched)
    mesh = sharding.make_mesh(sharding.MeshConfig(-1, 1))
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(4, averaged)
    with Checkpoints(tmp_path) as checkpoints:
        found = checkpoints.restore(4, jax.tree.map(jnp.zeros_like, averaged))
        params = checkpoints.restore_params(4, lambda x: sharding.state_sharding(mesh, x))
        saved = checkpoints.manager.item_metadata(4)[checkpoint.REST].tree
    jax.tree.map(np.testing.assert_array_equal, found, averaged)
    jax.tree.map(np.testing.assert_array_equal, params, searched)
    # What has no average is written once.
    assert len(saved) == 3 and saved[-1].keys() == {"layer"}


@pytest.fixture
def bucket(tmp_path, monkeypatch):
    """A folder that Orbax takes for one in a bucket, and a run that was trained on a disk."""
    monkeypatch.setattr(gcs_utils, "is_gcs_path", lambda path: "/bucket" in str(path))
    with Checkpoints(tmp_path / "disk") as checkpoints:
        for number in (2, 4):
            checkpoints.save(number, state())
    return tmp_path / "bucket"


def as_orbax_0_12_0_wrote_it(disk):
    """Without the marks of complete checkpoints that a bucket's have."""
    for mark in disk.rglob("commit_success.txt"):
        mark.unlink()


def test_a_run_of_a_disk_goes_on_in_a_bucket_and_back(tmp_path, bucket):
    shutil.copytree(tmp_path / "disk", bucket)
    assert newest(bucket) == 4
    with Checkpoints(bucket) as checkpoints:
        checkpoints.save(6, state())
    shutil.copytree(bucket, tmp_path / "disk again")
    assert newest(tmp_path / "disk again") == 6


def test_a_copy_that_a_bucket_takes_for_incomplete_is_not_begun_anew(tmp_path, bucket):
    as_orbax_0_12_0_wrote_it(tmp_path / "disk")
    assert newest(tmp_path / "disk") == 4
    shutil.copytree(tmp_path / "disk", bucket)
    said = r"bucket/checkpoints/[24]: a checkpoint without commit_success.txt\. .*an empty file "
    with Checkpoints(bucket) as checkpoints, pytest.raises(ValueError, match=said):
        checkpoints.latest()
    for number in (2, 4):  # what the message says
        (bucket / "checkpoints" / str(number) / "commit_success.txt").touch()
    with Checkpoints(bucket) as checkpoints:
        assert checkpoints.latest() == 4
        found = checkpoints.restore(4, jax.tree.map(jnp.zeros_like, state()))
    jax.tree.map(np.testing.assert_array_equal, found, state())


def test_newer_steps_without_the_mark_are_not_replaced(tmp_path, bucket):
    shutil.copytree(tmp_path / "disk", bucket)
    as_orbax_0_12_0_wrote_it(bucket / "checkpoints" / "4")
    with pytest.raises(ValueError, match="checkpoints/4: a checkpoint without"):
        newest(bucket)
    shutil.rmtree(bucket / "checkpoints" / "4")
    assert newest(bucket) == 2


@pytest.mark.parametrize("metadata", ['{"commit_timestamp_nsecs": null}', "", "{"])
def test_what_a_kill_left_in_a_bucket_is_passed_over(tmp_path, bucket, metadata):
    shutil.copytree(tmp_path / "disk", bucket)
    torn = bucket / "checkpoints" / "4"
    (torn / "commit_success.txt").unlink()
    (torn / "_CHECKPOINT_METADATA").write_text(metadata)
    assert newest(bucket) == 2


def test_checkpoints_that_were_copied_into_themselves_are_found(tmp_path):
    with Checkpoints(tmp_path / "run") as checkpoints:
        checkpoints.save(4, state())
    copied = tmp_path / "copy" / "checkpoints"
    shutil.copytree(tmp_path / "run" / "checkpoints", copied / "checkpoints")
    with pytest.raises(ValueError, match="in the wrong folder; move all of .* up one folder"):
        newest(tmp_path / "copy")


def test_who_reads_makes_no_folder(tmp_path):
    assert newest(tmp_path / "run") is None
    assert not (tmp_path / "run").exists()


def test_a_step_that_the_training_removed_meanwhile_is_not_called_damaged(tmp_path):
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(4, state())
    with Checkpoints(tmp_path, create=False) as checkpoints:
        assert checkpoints.latest() == 4
        shutil.rmtree(tmp_path / "checkpoints" / "4")
        with pytest.raises(ValueError, match=r"4 is gone: the run is still training.* again$"):
            checkpoints.restore(4, state())
