"""The search for settings, with plans that are made up; what it knows without compiling."""

import jax
import pytest

from animclip_jax import settings
from animclip_jax.planning import program
from animclip_jax.planning import suggest as module
from animclip_jax.planning.estimate import Plan
from configs import common, folders, pretrain

GIB = 2**30


def made_up(used: float, available: float) -> Plan:
    return Plan(used <= available, 16, "TPU v5 lite", used, available, 1.0)


@pytest.fixture
def search(monkeypatch):
    """Runs the search on GiB by (remat, fsdp, parts): the best settings, and what was tried.

    least: GiB a clip that are stored, by remat; a chip has 8 clips, 16 GiB, and 2 GiB of state,
    where the mesh does not split it.
    """

    def run(used, least=None, available: float | None = 16.0, state=2, chips=16, **changes):
        changes = {"batch_size": 128} | changes
        config = settings.training(settings.changed(folders.get_config(), changes))
        tried = []

        def plan(config, devices, phase):
            parts = 128 // (config.microbatch or 128)
            return made_up(used(config.model.clip.remat, config.mesh.fsdp, parts), 16.0)

        def stored(config, device):
            return (least or {}).get(config.model.clip.remat, 0) * GIB

        monkeypatch.setattr(module, "plan", plan)
        monkeypatch.setattr(module, "available_gib", lambda device: available)
        monkeypatch.setattr(module.program, "state_bytes", lambda config: state * GIB)
        monkeypatch.setattr(module.program, "stored_bytes_a_clip", stored)
        best = module.suggest(config, [None] * chips, lambda chosen, _: tried.append(chosen))
        return best and best[0], tried

    return run


def test_the_first_that_fits_ends_the_search(search):
    assert search(lambda remat, fsdp, parts: 10) == (("none", 1, 0), [("none", 1, 0)])


def test_the_least_work_comes_first(search):
    best, tried = search(lambda remat, fsdp, parts: 10 if remat == "block" else 17)
    assert best == ("block", 1, 0)
    wholes = [("none", 1, 0), ("none", 8, 0), ("dots", 1, 0), ("dots", 8, 0), ("block", 1, 0)]
    assert [one for one in tried if one[2] == 0] == wholes
    assert tried.index(("dots", 8, 0)) < tried.index(("block", 1, 0))


def test_what_stores_too_much_is_not_compiled(search):
    # Of 8 clips: 80 and 32 GiB. In parts of one clip 10 and 4.
    best, tried = search(
        lambda remat, fsdp, parts: 17 if parts < 8 else 15, {"none": 10, "dots": 4}
    )
    assert tried == [("block", 1, 0), ("block", 8, 0), ("none", 1, 16)]
    assert best == ("none", 1, 16)


def test_a_state_that_is_too_large_is_split(search):
    best, tried = search(lambda remat, fsdp, parts: 15 + 2 / fsdp)
    assert best == ("none", 8, 0)
    assert tried == [("none", 1, 0), ("none", 8, 0)]


def test_a_state_that_tensor_splits_may_fit(search):
    best, _ = search(lambda remat, fsdp, parts: 15, state=24, **{"mesh.tensor": 2})
    assert best == ("none", 1, 0)
    best, _ = search(lambda remat, fsdp, parts: 15, state=40, **{"mesh.tensor": 2})
    assert best == ("none", 8, 0)


@pytest.mark.parametrize(
    ("changes", "sizes"),
    [
        ({"mesh.tensor": 4}, {1, 4}),  # 16 chips: 8 x 4 would be 32
        ({"mesh.tensor": 2}, {1, 8}),
        ({"mesh.data": 16}, {1}),
        ({"mesh.data": 2}, {8}),
        ({"mesh.data": 4}, {4}),
        ({"mesh.data": 1}, {16}),
        ({"mesh.fsdp": 4}, {1, 4, 8}),
        ({"mesh.fsdp": 16}, {1, 8, 16}),
        ({"mesh.fsdp": 3}, {1, 8}),
        ({"chips": 4}, {1, 4}),
        ({"chips": 2}, {1, 2}),
        ({"chips": 1}, {1}),
    ],
)
def test_only_meshes_that_cover_the_chips_are_tried(search, changes, sizes):
    _, tried = search(lambda remat, fsdp, parts: 17, **changes)
    assert {fsdp for _, fsdp, _ in tried} == sizes


@pytest.mark.parametrize(
    "axes", [{"data": 3}, {"data": 0}, {"tensor": 3}, {"data": 8, "tensor": 4}]
)
def test_where_the_other_axes_leave_no_mesh_to_try_it_says_so(search, axes):
    changes = {f"mesh.{axis}": size for axis, size in axes.items()}
    size = "mesh.data={} and mesh.tensor={}".format(axes.get("data", -1), axes.get("tensor", 1))
    with pytest.raises(ValueError, match=f"{size} leave no mesh.fsdp to try on 16 chips: choose"):
        search(lambda remat, fsdp, parts: 10, **changes)


@pytest.mark.parametrize(
    ("chips", "tensor", "batch_size", "microbatches"),
    [
        (4, 1, 24, {0, 12}),
        (4, 2, 10, {0}),  # 5 is no multiple of 2, over which the batch is split
        (16, 4, 16, {0, 8, 4}),  # over 4, each with 4 chips for the same clips
    ],
)
def test_a_part_has_clips_for_all_that_the_batch_is_split_over(
    chips, tensor, batch_size, microbatches
):
    changes = {"batch_size": batch_size, "mesh.tensor": tensor}
    config = settings.training(settings.changed(folders.get_config(), changes))
    found = module.candidates(config, chips)
    assert {one.microbatch for one in found} == microbatches


def test_where_nothing_fits_there_is_no_suggestion(search):
    best, tried = search(lambda remat, fsdp, parts: 17)
    assert best is None
    assert len(set(tried)) == len(tried) == 3 * 2 * 4


def test_where_the_memory_is_not_known_everything_is_tried(search):
    best, _ = search(lambda remat, fsdp, parts: 10, {"none": 100}, available=None)
    assert best == ("none", 1, 0)


@pytest.mark.long
def test_whole_videos_are_pretrained_in_batches_that_a_pod_may_hold():
    """On 256 v5e of 15.75 GiB; gradients, and what lives within a layer, come on top."""
    config = settings.training(pretrain.get_config("videoprism_b"))
    least = module.least_gib(config, jax.devices()[:1] * 256)
    clip = config.model.clip
    assert least(module.Settings(clip.remat, config.mesh.fsdp, config.microbatch)) < 15.75 / 3
    assert least(module.Settings("none", 1, 0)) > 15.75
    # As many as of pictures would leave no room for the gradients, of 0.9 GiB.
    assert least(module.Settings("block", 1, 16_384)) > 15


@pytest.mark.long
def test_what_is_stored_of_a_clip_without_compiling():
    config = common.get_config("tiny")
    config.animation.num_frames, config.animation.preset = 3, "zoom"
    one_input = 4 * 3 * (1 + 4 * 4) * config.model.vision.width

    def of_a_layer(remat: str) -> float:
        config.model.remat = remat
        found = []
        for config.model.vision.layers in (3, 4):
            found.append(program.stored_bytes_a_clip(settings.training(config), jax.devices()[0]))
        return (found[1] - found[0]) / one_input

    assert of_a_layer("block") == 1
    # Query, key, value, what attention puts out, and the MLP's hidden layer, of four widths.
    assert of_a_layer("dots") == 1 + 4 + 4
    assert of_a_layer("none") > 2 * (1 + 4 + 4)
    config.optimizer.frozen = "clip/vision"
    assert of_a_layer("none") == 0
