"""A stand-in for `gcloud`: a folder is the cloud, and scripts for workers really run, here.

STAND_IN_CLOUD names the folder:
  calls.jsonl            arguments of every call
  request, slice         their states; a request moves on by one each time it is looked at
  worker-0, worker-1     the workers' home folders
  buckets/NAME/          what is in gs://NAME
  fail-VERB              content: what gcloud says when VERB (create, scp, ...) fails; used up
  preempt                made by the command that runs: the slice goes, and what is on it
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

CLOUD = Path(os.environ["STAND_IN_CLOUD"])
WORKERS = ("worker-0", "worker-1")
NEXT = {"WAITING_FOR_RESOURCES": "PROVISIONING", "PROVISIONING": "ACTIVE"}


def fail(text: str) -> None:
    print(f"ERROR: (gcloud) {text}", file=sys.stderr)
    raise SystemExit(1)


def read(name: str) -> str | None:
    return (CLOUD / name).read_text() if (CLOUD / name).exists() else None


def preempt_if_asked() -> None:
    if read("preempt") is not None:
        (CLOUD / "preempt").unlink()
        (CLOUD / "slice").write_text("PREEMPTED")
        (CLOUD / "request").write_text("SUSPENDED")
        for worker in WORKERS:
            shutil.rmtree(CLOUD / worker)


def request(verb: str) -> None:
    if verb == "create":
        if read("request") is not None:
            fail("ALREADY_EXISTS")
        (CLOUD / "request").write_text("WAITING_FOR_RESOURCES")
    elif (state := read("request")) is None:
        fail("NOT_FOUND: Resource was not found")
    elif verb == "describe":
        print(state)
        if NEXT.get(state) == "ACTIVE":
            (CLOUD / "slice").write_text("READY")
            for worker in WORKERS:
                (CLOUD / worker).mkdir()
        (CLOUD / "request").write_text(NEXT.get(state, state))
    elif verb == "delete":
        for name in ("request", "slice"):
            (CLOUD / name).unlink(missing_ok=True)
        for worker in WORKERS:
            shutil.rmtree(CLOUD / worker, ignore_errors=True)


def slice_(verb: str, arguments: list[str]) -> None:
    options = dict(a[2:].split("=", 1) for a in arguments if a.startswith("--") and "=" in a)
    preempt_if_asked()
    state = read("slice")
    if state is None:
        fail("NOT_FOUND: Resource was not found")
    if verb == "describe":
        print(state)
        return
    if state != "READY":
        fail(f"the TPU is {state}")
    chosen = WORKERS if options["worker"] == "all" else [f"worker-{options['worker']}"]
    if verb == "scp":
        source, destination = (a for a in arguments if not a.startswith("--"))
        for worker in chosen:
            shutil.copy(source, CLOUD / worker / destination.split(":")[1])
    elif verb == "ssh":
        codes = []
        for worker in chosen:
            home = str(CLOUD / worker)
            env = os.environ | {"HOME": home, "PATH": f"{CLOUD / 'bin'}:{os.environ['PATH']}"}
            codes.append(subprocess.run(["bash", "-c", options["command"]], env=env).returncode)
        raise SystemExit(max(codes))


def storage(arguments: list[str]) -> None:
    url = next(a for a in arguments if a.startswith("gs://"))
    if not (CLOUD / "buckets" / url.removeprefix("gs://")).exists():
        fail(f"{url} matched no objects, HTTPError 404")


def main(arguments: list[str]) -> None:
    with (CLOUD / "calls.jsonl").open("a") as file:
        file.write(json.dumps(arguments) + "\n")
    for verb in ("create", "scp", "ssh", "describe"):
        if verb in arguments and (said := read(f"fail-{verb}")) is not None:
            (CLOUD / f"fail-{verb}").unlink()
            fail(said)
    if arguments[:2] == ["config", "get-value"]:
        print(read(arguments[2].replace("/", "-")) or "", end="")
    elif arguments[0] == "storage":
        storage(arguments)
    elif arguments[2] == "queued-resources":
        request(arguments[3])
    else:
        slice_(arguments[3], arguments[4:])


if __name__ == "__main__":
    main(sys.argv[1:])
