"""Every mesh computes what one device does, holds its part, and sends no patch tokens."""

import dataclasses
import itertools
import math
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
import optax
import pytest
from flax import nnx, traverse_util
from jax.sharding import PartitionSpec

from animclip_jax import sharding
from animclip_jax.animation.told import AXES
from animclip_jax.models import parameters
from animclip_jax.models.motion import SHOWN
from animclip_jax.models.retriever import TemporalConfig
from animclip_jax.models.transformer import Attention
from animclip_jax.planning import hlo, hlo_text
from animclip_jax.training import lora, step
from tests import processes
from tests.sharded_step import (
    ADAPTERS,
    BATCH,
    CLIP,
    CONFIG,
    FRAMES,
    LENGTH,
    NEGATIVES,
    RERANKER,
)

ONE = "1,1,1,0,none"  # data, fsdp, tensor, microbatch, remat
FSDP, TENSOR, BOTH = "2,4,1,0,none", "1,1,2,0,none", "1,4,2,0,none"
MESHES = ["8,1,1,0,none", FSDP, BOTH, TENSOR]
# With adapters; their names say so at the end.
LORA_ONE, LORA_MESHES = f"{ONE},lora", [f"{FSDP},lora", f"{BOTH},lora"]
# With a temporal transformer, too.
TEMPORAL_ONE, TEMPORAL_MESHES = f"{ONE},temporal", [f"{TENSOR},temporal", f"{BOTH},temporal"]
KERNEL = "1,2,1,0,block,kernel"
HEAD_BIAS = "['reranker']['head_out']['bias']"
PARTS = ["1,1,1,1,none", "1,1,1,2,none", "1,1,1,4,none", "2,4,1,8,block"]


def environment(devices: int, **more: str) -> dict[str, str]:
    flags = f"{os.environ['XLA_FLAGS']} --xla_force_host_platform_device_count={devices}"
    return os.environ | {"XLA_FLAGS": flags} | more


def command(out: Path, *meshes: str) -> list[str]:
    return [sys.executable, "-m", "tests.sharded_step", str(out), *meshes]


@pytest.fixture(scope="module")
def out(tmp_path_factory) -> Path:
    """What every mesh of one process computed, on 8 host-platform devices."""
    directory = tmp_path_factory.mktemp("meshes")
    others = LORA_ONE, *LORA_MESHES, TEMPORAL_ONE, *TEMPORAL_MESHES, KERNEL
    asked = command(directory, ONE, *MESHES, *PARTS, *others)
    run = subprocess.run(asked, env=environment(8), capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return directory


def assert_same(found: Path, wanted: Path) -> None:
    """The loss, and every array of gradients by its greatest value, to 1e-5.

    But for the head's bias: added to every score of a list, it changes no listwise loss.
    """
    one, other = np.load(wanted), np.load(found)
    assert one.files == other.files and len(one.files) > 60
    np.testing.assert_allclose(other["loss"], one["loss"], rtol=1e-5)
    for name in one.files:
        if name.startswith("["):
            scale = np.abs(one[name]).max()
            if name == HEAD_BIAS:
                assert max(scale, np.abs(other[name]).max()) < 1e-7
                continue
            assert scale > 0, f"{name}: no gradient"
            np.testing.assert_allclose(other[name], one[name], rtol=0, atol=1e-5 * scale)


@pytest.mark.slow
@pytest.mark.parametrize("mesh", MESHES)
def test_every_mesh_computes_what_one_device_does(out, mesh):
    assert_same(out / f"{mesh}.npz", out / f"{ONE}.npz")


@pytest.mark.slow
@pytest.mark.parametrize("mesh", TEMPORAL_MESHES)
def test_a_temporal_transformer_computes_on_every_mesh_what_it_does_on_one_device(out, mesh):
    assert_same(out / f"{mesh}.npz", out / f"{TEMPORAL_ONE}.npz")


@pytest.mark.slow
def test_the_attention_kernel_computes_the_same_on_each_device(out):
    assert_same(out / f"{KERNEL}.npz", out / f"{ONE}.npz")
    rows = BATCH * FRAMES // 2 * (1 + CLIP.grid**2)
    assert f"f32[{rows},{3 * CLIP.vision.width}]" in (out / f"{KERNEL}.txt").read_text()


@pytest.mark.parametrize("platform", ["cpu", "gpu", "tpu"])
@pytest.mark.parametrize("attention", ["auto", "xla", "kernel"])
def test_what_computes_attention_is_chosen_by_platform(platform, attention, monkeypatch):
    monkeypatch.setattr(sharding, "platform", lambda mesh: platform)
    mesh = sharding.make_mesh(sharding.MeshConfig(1, 1), jax.devices()[:1])
    graphdef, params = parameters.abstract(CONFIG)
    model = step.merge(mesh, graphdef, nnx.to_pure_dict(params), attention=attention)
    found = [module for _, module in nnx.iter_modules(model) if isinstance(module, Attention)]
    by_kernel = platform == "tpu" and attention != "xla"
    by_cudnn = platform == "gpu" and attention == "kernel"
    assert {(one.kernel is not None, one.by_cudnn) for one in found} == {(by_kernel, by_cudnn)}
    assert len(found) == 5  # two towers, and three of the re-ranker


@pytest.mark.slow
@pytest.mark.parametrize("mesh", LORA_MESHES)
def test_adapters_learn_on_every_mesh_as_on_one_device(out, mesh):
    assert_same(out / f"{mesh}.npz", out / f"{LORA_ONE}.npz")
    learning = np.load(out / f"{mesh}.npz").files
    assert len([name for name in learning if name.startswith("['lora']")]) == 2 * 2 * 5
    assert not [name for name in learning if re.match(r"\['clip'\]\['(vision|text)'\]", name)]


@pytest.mark.slow
@pytest.mark.parametrize("mesh", LORA_MESHES)
def test_no_device_multiplies_all_of_two_adapters(out, mesh):
    """Each computes its part of a kernel, from its part of one and what it gathers of the other."""
    params = step.state_shapes(CONFIG, optax.identity(), adapters=ADAPTERS).params
    flat = traverse_util.flatten_dict(params[lora.ADAPTERS], sep="/")
    dots = re.findall(r"f32\[([\d,]+)\]\S* dot\(", (out / f"{mesh}.txt").read_text())
    products = {tuple(map(int, dot.split(","))) for dot in dots}
    for name in {name.rpartition("/")[0] for name in flat}:
        a, b = flat[f"{name}/a"].shape, flat[f"{name}/b"].shape
        assert (a[0], math.prod(a[1:-1]), math.prod(b[2:])) not in products, name
    tensor, width = int(mesh.split(",")[2]), CLIP.vision.width
    assert (CLIP.vision.layers, width // 4, width // tensor) in products  # of the queries


@pytest.mark.slow
@pytest.mark.parametrize("mesh", PARTS)
def test_parts_of_a_batch_change_nothing(out, mesh):
    assert_same(out / f"{mesh}.npz", out / f"{ONE}.npz")


@pytest.mark.slow
@pytest.mark.parametrize(("mesh", "clips"), [(ONE, BATCH), ("1,1,1,4,none", 4)])
def test_the_pairs_of_a_part_are_scored_at_a_time(out, mesh, clips):
    """What the re-ranker keeps of each pair is most of a step's memory."""
    text = (out / f"{mesh}.txt").read_text()
    # Of a clip its own pair, and its negatives as a video and as a caption.
    hidden = f"{LENGTH},{CONFIG.reranker.mlp_width}]"
    found = {int(pairs) for pairs in re.findall(rf"\[(?:\d,)?(\d+),{re.escape(hidden)}", text)}
    assert found == {clips * (1 + 2 * NEGATIVES)}


@pytest.mark.slow
def test_two_processes_compute_what_one_does(out, tmp_path):
    address = f"localhost:{processes.free_port()}"
    running = []
    for number in ("0", "1"):
        given = environment(4, COORDINATOR=address, PROCESSES="2", PROCESS=number)
        running.append(
            subprocess.Popen(command(tmp_path, FSDP), env=given, stderr=subprocess.PIPE, text=True)
        )
    try:
        for process in running:
            message = process.communicate(timeout=300)[1]
            assert process.returncode == 0, message
    finally:
        for process in running:
            process.kill()
    assert_same(tmp_path / f"{FSDP}.npz", out / f"{ONE}.npz")


@pytest.mark.slow
def test_each_device_holds_its_part_of_the_optimizers_state(out):
    held = {mesh: int(np.load(out / f"{mesh}.npz")["held"]) for mesh in (ONE, *MESHES)}
    shapes = jax.tree.leaves(step.state_shapes(CONFIG, optax.identity()).params)
    small = sum(x.size for x in shapes if x.size < 2**10) * 4
    assert held["8,1,1,0,none"] == held[ONE]
    assert held[FSDP] <= held[ONE] / 4 + small
    # Positions, norms, projections and tables are not split by `tensor`.
    assert held[TENSOR] < 0.7 * held[ONE]
    assert held[BOTH] < 0.75 * held[FSDP]


class Collective(NamedTuple):
    """op; shapes of its arrays; groups of devices that it joins; the operation it came from."""

    op: str
    shapes: list[tuple[int, ...]]
    groups: list[tuple[int, ...]]
    name: str


def program(out: Path, mesh: str) -> list[Collective]:
    found = []
    for one in hlo.collectives((out / f"{mesh}.txt").read_text()):
        name = re.search(r'op_name="([^"]*)"', one.rest)
        groups = hlo_text.device_groups(one.rest)
        assert groups, one
        shapes = [array.dims for array in one.shape]
        op = one.opcode.removesuffix("-start")
        found.append(Collective(op, shapes, groups, name[1] if name else ""))
    assert len(found) > 10
    return found


def may_cross() -> set[tuple[int, ...]]:
    """Shapes, sorted and without ones, of what may go from one part of the batch to another."""
    shapes: set[tuple[int, ...]] = set()

    def add(*shape: int) -> None:
        shapes.add(tuple(sorted(size for size in shape if size > 1)))

    for leaf in jax.tree.leaves(step.state_shapes(CONFIG, optax.identity()).params):
        for shape in (leaf.shape, leaf.shape[1:]):
            for parts in itertools.product((1, 2, 4), repeat=len(shape)):
                add(*(size // part for size, part in zip(shape, parts, strict=True)))
    a_frame = 1 + RERANKER.pooled_grid**2
    # Gradients of the code's positions, summed over the batch, before frames and cells part.
    add(FRAMES, a_frame, RERANKER.code_width)
    rows = {BATCH // part for part in (1, 2, 4, 8)}
    pairs = BATCH * (1 + 2 * NEGATIVES)
    for row in rows:
        add(row, CLIP.embed_dim)  # pooled embeddings
        add(row, CONFIG.code_tokens, RERANKER.code_width)  # video codes
        add(row, LENGTH, CLIP.text.width)  # what the re-ranker reads of a caption
        add(row, LENGTH)  # tokens, masks
        add(row, len(AXES))  # what captions say of motion
        add(row, len(SHOWN))  # and what videos show of it
        for other in rows:
            add(row, other)  # logits
    # Scalars of a pair.
    return shapes | {(size,) for size in range(2, pairs + 1)} | {()}


@pytest.mark.slow
@pytest.mark.parametrize("mesh", [FSDP, BOTH, "2,4,1,8,block", *LORA_MESHES])
def test_no_patch_tokens_cross_between_parts_of_the_batch(out, mesh):
    tensor = int(mesh.split(",")[2])
    allowed = may_cross()
    crossing = [
        (found.op, shape, found.name)
        for found in program(out, mesh)
        if any(len({device // tensor for device in group}) > 1 for group in found.groups)
        for shape in found.shapes
        if tuple(sorted(size for size in shape if size > 1)) not in allowed
    ]
    assert crossing == []
    tokens = (BATCH // 8 * FRAMES, 1 + CLIP.grid**2, CLIP.vision.width)
    assert tuple(sorted(tokens)) not in allowed


@pytest.mark.slow
def test_tensor_parallel_blocks_reduce_only_what_they_must(out):
    """Forward after attention and after the MLP; backward before the MLP, and before the queries
    and the keys and values."""
    found = program(out, TENSOR)
    for tower, length, rows in (
        (CLIP.vision, 1 + CLIP.grid**2, BATCH * FRAMES),
        (CLIP.text, LENGTH, BATCH),
    ):
        wanted = (rows, length, tower.width)
        inside = [
            ("transpose" in each.name, each.op)
            for each in found
            if "while/body" in each.name
            for shape in each.shapes
            if shape == wanted
        ]
        assert sorted(inside) == [(False, "all-reduce")] * 2 + [(True, "all-reduce")] * 3


def test_sharding_follows_names_and_sizes():
    mesh: Any = jax.sharding.AbstractMesh((1, 2, 2), sharding.AXES)

    def spec(*names: str, shape: tuple[int, ...]) -> tuple:
        tree: object = jax.ShapeDtypeStruct(shape, "float32")
        for name in reversed(names):
            tree = {name: tree}
        (found,) = jax.tree.leaves(sharding.state_sharding(mesh, tree))
        return tuple(found.spec)

    layers = ("blocks", "layers")
    query = (*layers, "attention", "query", "kernel")
    assert spec(*query, shape=(12, 768, 12, 64)) == (None, "fsdp", "tensor", None)
    assert spec(*layers, "mlp", "down", "kernel", shape=(2, 256, 64)) == (
        None,
        "tensor",
        "fsdp",
    )
    assert spec(*layers, "norm", "scale", shape=(2**15, 3)) == (None, None)
    assert spec("token_embedding", "embedding", shape=(4096, 64)) == (None, "fsdp")
    assert spec(*query, shape=(2, 8, 3, 4)) == (None, None, None, None)  # 3 heads, and small
    # An adapter's matrix is split as the axes of its kernel are that it has.
    assert spec(*query, "a", shape=(12, 768, 16)) == (None, "fsdp", None)
    assert spec(*query, "b", shape=(12, 16, 12, 64)) == (None, None, "tensor", "fsdp")
    out = (*layers, "attention", "out", "kernel")
    assert spec(*out, "a", shape=(12, 12, 64, 16)) == (None, "tensor", "fsdp", None)
    assert spec(*layers, "mlp", "down", "kernel", "b", shape=(12, 16, 768)) == (None, None, "fsdp")


def test_a_part_of_no_fitting_size_is_refused():
    mesh = sharding.make_mesh(sharding.MeshConfig(-1, 1), jax.devices()[:1])
    with pytest.raises(ValueError, match="microbatch 3: wanted a part of the batch, 8"):
        sharding.split(mesh, np.zeros((8, 2)), 3)


def test_a_batch_that_the_devices_do_not_divide_is_refused():
    mesh: Any = jax.sharding.AbstractMesh((2, 2, 3), sharding.AXES)
    sharding.require_rows(mesh, 8)
    with pytest.raises(ValueError, match="batch_size 6: .* multiple of the 4 devices .* such as 8"):
        sharding.require_rows(mesh, 6)


def test_parts_come_back_in_their_order():
    mesh = sharding.make_mesh(sharding.MeshConfig(-1, 1), jax.devices()[:1])
    rows = np.arange(24).reshape(8, 3)
    parts = sharding.split(mesh, rows, 2)
    assert parts.shape == (4, 2, 3)
    np.testing.assert_array_equal(sharding.join(mesh, parts), rows)


def test_the_table_counts_what_a_device_holds():
    mesh: Any = jax.sharding.AbstractMesh((1, 4, 1), sharding.AXES)
    tree = {"kernel": jax.ShapeDtypeStruct((1024, 1000), "float32")}
    places = sharding.state_sharding(mesh, tree)
    kernel = jax.ShapeDtypeStruct((1024, 1000), "float32", sharding=places["kernel"])
    assert sharding.table({"kernel": kernel}).splitlines()[1].split() == [
        "fsdp",
        "1",
        "4.10",
        "1.02",
    ]


def test_a_mesh_must_cover_the_devices():
    wrong = jax.device_count() + 1
    for config in (sharding.MeshConfig(wrong, 1), sharding.MeshConfig(-1, 1, tensor=wrong)):
        with pytest.raises(ValueError, match="does not cover"):
            sharding.make_mesh(config)


def test_a_layer_named_as_one_of_heads_but_without_them_is_whole():
    """The last layer of the temporal transformer: the index of its axis of heads was an error."""
    mesh: Any = jax.sharding.AbstractMesh((1, 1, 2), sharding.AXES)
    tree = {
        "temporal": {"out": {"kernel": jax.ShapeDtypeStruct((8, 8), np.float32)}},
        "attention": {"out": {"kernel": jax.ShapeDtypeStruct((4, 2, 8), np.float32)}},
    }
    places = sharding.state_sharding(mesh, tree)
    assert places["temporal"]["out"]["kernel"].spec == PartitionSpec(None, None)
    assert places["attention"]["out"]["kernel"].spec == PartitionSpec("tensor", None, None)


def test_a_model_with_a_temporal_transformer_fits_a_tensor_mesh():
    """Its last layer is a plain one, where those of attention have an axis of heads."""
    config = dataclasses.replace(CONFIG, temporal=TemporalConfig(layers=1, heads=4))
    mesh: Any = jax.sharding.AbstractMesh((1, 2, 2), sharding.AXES)
    places = sharding.state_sharding(mesh, step.state_shapes(config, optax.adam(1e-3)))
    for tree in (places.params, places.opt_state[0].mu):
        temporal = traverse_util.flatten_dict(tree["temporal"], sep="/")
        assert "tensor" not in temporal["out/kernel"].spec
        split = [name for name, place in temporal.items() if "tensor" in place.spec]
        assert any(name.endswith("attention/out/kernel") for name in split)
