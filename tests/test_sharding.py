"""Placement on 8 host-platform devices, in a process of its own; refusals in this one."""

import json
import os
import subprocess
import sys

import jax
import numpy as np
import pytest

from animclip_jax import sharding

# Losses of three steps on a mesh, and the bytes of state that one device holds.
SCRIPT = """
import json, sys
import jax, numpy as np
from animclip_jax import sharding, step
from animclip_jax.animation.plan import upright
from animclip_jax.optimizer import OptimizerConfig, make_optimizer
from tests.models.test_retriever import CONFIG, captions

sharding.MIN_SHARDED_SIZE = 256
mesh = sharding.make_mesh(sharding.MeshConfig(-1, int(sys.argv[1])))
optimizer = make_optimizer(OptimizerConfig(1e-3, 1, 0.1, 0.9, 0.98, 1.0), 10)
state = step.init_state(mesh, CONFIG, optimizer, 0)
advance = step.compile_train_step(
    mesh, state, graphdef=step.graph_definition(CONFIG), optimizer=optimizer,
    loss=step.LossConfig(1.0, 2), image_size=32, seed=0,
)
random = np.random.default_rng(0)
losses = []
for _ in range(3):
    batch = {
        "canvas": random.integers(0, 255, (8, 40, 40, 3), dtype=np.uint8),
        "plan": upright(np.tile(np.float32([0.1, 0.2, 0.8, 0.9]), (8, 3, 1))),
        "tokens": np.asarray(captions(8)), "index": np.arange(8, dtype=np.int32),
    }
    state, metrics = advance(state, sharding.put_batch(mesh, batch))
    losses.append(float(metrics["loss"]))
first = jax.devices()[0]
held = sum(s.data.nbytes for x in jax.tree.leaves((state.params, state.opt_state))
           for s in x.addressable_shards if s.device == first)
print(json.dumps({"losses": losses, "bytes": held, "devices": jax.device_count()}))
"""


def run_on(devices: int, fsdp: int) -> dict:
    environment = os.environ | {"XLA_FLAGS": f"--xla_force_host_platform_device_count={devices}"}
    command = [sys.executable, "-c", SCRIPT, str(fsdp)]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout.splitlines()[-1])


def test_eight_devices_compute_what_one_does_and_share_the_state():
    one, data, fsdp = run_on(1, 1), run_on(8, 1), run_on(8, 4)
    assert (one["devices"], data["devices"], fsdp["devices"]) == (1, 8, 8)
    np.testing.assert_allclose(data["losses"], one["losses"], rtol=1e-5)
    np.testing.assert_allclose(fsdp["losses"], one["losses"], rtol=1e-5)
    assert data["bytes"] == one["bytes"]
    assert fsdp["bytes"] < 0.4 * one["bytes"]


def test_a_mesh_must_cover_the_devices():
    wrong = jax.device_count() + 1
    with pytest.raises(ValueError, match="does not cover"):
        sharding.make_mesh(sharding.MeshConfig(data=wrong, fsdp=1))
