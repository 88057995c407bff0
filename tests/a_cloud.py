"""A cloud in a folder for tests of launch_tpu.sh: its workers really run what is sent to them."""

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.repository import ROOT

SCRIPT = ROOT / "launch_tpu.sh"
WORKDIR = "gs://bucket/run"

# Stands for python3.12 on a worker: makes environments whose pip notes what it is asked.
PYTHON = """#!/bin/bash
case "$*" in
  "-m venv"*) mkdir -p "${@: -1}/bin" && cp "$0" "${@: -1}/bin/python" ;;
  "-m pip --version") ;;
  "-m pip install"*) echo "$PWD $*" >>~/installed ;;
  "-c "*) echo py312 ;;
esac
"""


class Cloud:
    """The folder of the stand-in, and what was asked of it."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.bucket = folder / "buckets" / "bucket"
        self.run_folder = self.bucket / "run"
        self.run_folder.mkdir(parents=True)
        self.tools = folder / "tools"
        self.executable(self.tools / "gcloud", gcloud())
        self.executable(folder / "bin" / "python3.12", PYTHON)
        self.env = os.environ | {
            "STAND_IN_CLOUD": str(folder),
            "POLL_SECONDS": "0",
            "PATH": f"{self.tools}:{os.environ['PATH']}",
        }

    @staticmethod
    def executable(path: Path, text: str) -> None:
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)

    def calls(self) -> list[list[str]]:
        path = self.folder / "calls.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def verbs(self) -> list[str]:
        return [" ".join(call[2:4]) for call in self.calls() if call[0] == "compute"]

    def launch(self, *arguments: str, script: Path = SCRIPT) -> subprocess.CompletedProcess:
        return subprocess.run(
            [script, *arguments], env=self.env, capture_output=True, text=True, timeout=120
        )

    def command(self, text: str, verb: str = "train") -> list[str]:
        """What stands behind -- : an `animclip` that runs a script on the workers.

        text: the script, in Bash, which knows $cloud, $folder and its try, $n.
        """
        self.executable(
            self.folder / "bin" / "animclip",
            f"#!/bin/bash\ncloud={self.folder} folder={self.run_folder}\n"
            "if [[ $HOME == */worker-0 ]]; then echo >>$cloud/tries; fi\n"
            f"n=$(wc -l <$cloud/tries)\n{text}\n",
        )
        return ["--", "animclip", verb, f"--workdir={WORKDIR}"]


def gcloud() -> str:
    return f'#!/bin/sh\nexec {sys.executable} {ROOT / "tests" / "stand_in_gcloud.py"} "$@"\n'
