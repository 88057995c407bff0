"""The command: on 8 devices of this machine, and for TPUs that are not here."""

import json
import os
import subprocess
import sys

import pytest

from animclip_jax import plan

SMALL = [
    "--config=configs/quickstart.py",
    "--config.model.vision.layers=2",
    "--config.model.text.layers=2",
    "--config.animation.num_frames=2",
    "--config.animation.preset=zoom",
]
NEEDS_LIBTPU = "no compiler for TPUs: pip install '.[tpu]'"


def run(*arguments: str, devices: int = 1) -> subprocess.CompletedProcess:
    flags = f"{os.environ['XLA_FLAGS']} --xla_force_host_platform_device_count={devices}"
    env = os.environ | {"XLA_FLAGS": flags}
    command = [sys.executable, "-m", "animclip_jax.plan", *SMALL, *arguments]
    return subprocess.run(command, env=env, capture_output=True, text=True)


def test_the_devices_here(tmp_path):
    file = tmp_path / "plan.json"
    adamw = "--config.optimizer.algorithm=adamw"
    done = run("--config.mesh.fsdp=4", adamw, f"--json={file}", devices=8)
    assert done.returncode == 0, done.stderr
    found = json.loads(file.read_text())
    assert found["fits"] is None and found["seconds"] is None  # of a CPU nothing is known
    assert found["chips"] == 8 and found["settings"]["mesh.fsdp"] == 4
    assert {one["axes"] for one in found["collectives"]} >= {"fsdp", "data x fsdp"}
    kinds = found["hbm_gib_by_kind"]
    assert found["hbm_gib_per_chip"] == pytest.approx(sum(kinds.values()))
    # AdamW has two moments.
    assert kinds["optimizer"] == pytest.approx(2 * kinds["parameters"], rel=0.01)
    assert "so no time estimate" in done.stdout and "all-gather" in done.stdout
    for doing in ("tracing the train step", "compiling it", "reading its costs"):
        assert f"{doing} ...\n" in done.stderr and f"{doing}: done in " in done.stderr


@pytest.mark.slow
def test_a_tpu_that_is_not_here(tmp_path):
    pytest.importorskip("libtpu", reason=NEEDS_LIBTPU)
    file = tmp_path / "plan.json"
    done = run("--topology=v5e:2x2", "--config.mesh.fsdp=2", f"--json={file}")
    assert done.returncode == 0, done.stderr
    found = json.loads(file.read_text())
    assert found["fits"] is True and found["chips"] == 4
    assert found["hbm_gib_available"] == 15.75
    assert found["unknown_loops"] == 1  # over the clips that are rolled
    assert found["seconds"]["step"] == max(found["seconds"].values()) > 0
    assert "accelerator type v5litepod-4" in done.stdout
    ours = ("planning for ", "tracing the train step", "compiling it", "reading its costs")
    assert all(line.startswith(ours) for line in done.stderr.splitlines()), done.stderr


@pytest.mark.slow
def test_clips_with_things_are_a_loop_more_and_a_round_of_it_is_counted(tmp_path):
    pytest.importorskip("libtpu", reason=NEEDS_LIBTPU)
    found = {}
    for preset in ("full", "things"):
        file = tmp_path / f"{preset}.json"
        done = run("--topology=v5e:2x2", f"--config.animation.preset={preset}", f"--json={file}")
        assert done.returncode == 0, done.stderr
        found[preset] = json.loads(file.read_text())
    assert found["full"]["unknown_loops"] == 1
    assert found["things"]["unknown_loops"] == 2  # and over the clips that have one
    for cost in ("flops", "hbm_traffic_gib"):
        assert found["things"][cost] > found["full"][cost]


@pytest.mark.slow
def test_what_does_not_fit_says_so(tmp_path):
    pytest.importorskip("libtpu", reason=NEEDS_LIBTPU)
    file = tmp_path / "plan.json"
    done = run("--topology=v5e:2x2", "--config.batch_size=131072", f"--json={file}")
    assert done.returncode == 3, done.stderr
    found = json.loads(file.read_text())
    assert found["fits"] is False and found["hbm_gib_per_chip"] > 15.75
    assert "DOES NOT FIT" in done.stdout and "--suggest" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--config.mesh.fsdp=3"], "does not cover"),
        (["x"], "see animclip plan --help"),
    ],
)
def test_refusals(arguments, said, capsys):
    assert plan.main([*SMALL, *arguments]) == 1
    assert said in capsys.readouterr().err


def test_a_flag_that_is_none_is_refused_with_the_nearest(capsys):
    with pytest.raises(SystemExit, match="^2$"):
        plan.main([*SMALL, "--suggests"])
    assert "did you mean --suggest?" in capsys.readouterr().err
