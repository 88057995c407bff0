"""A gallery over 8 host-platform devices: the tests of stage one hold there too."""

import os
import re
import subprocess
import sys
from pathlib import Path

FILES = (
    "retrieval/test_coarse.py",
    "retrieval/test_normalization.py",
    "evaluation/test_two_stage.py",
)


def test_eight_devices_find_what_one_does():
    here = Path(__file__).parents[1]
    options = ["-q", "-p", "no:cacheprovider", "-p", "no:xdist", f"--rootdir={here.parent}"]
    command = [sys.executable, "-m", "pytest", *options, *(str(here / name) for name in FILES)]
    flags = f"{os.environ['XLA_FLAGS']} --xla_force_host_platform_device_count=8"
    environment = os.environ | {"XLA_FLAGS": flags}
    run = subprocess.run(
        command, cwd=here.parent, env=environment, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stdout
    assert int(re.findall(r"(\d+) passed", run.stdout)[0]) >= 20
