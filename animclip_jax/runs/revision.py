"""Which commit of this software is running."""

import functools
import os
import subprocess
from pathlib import Path


@functools.cache
def git_commit() -> str | None:
    """The commit's hash, with "-dirty" behind it if files were changed since; None outside git.

    Found out once a process, at the first call: a checkout may move on under a long run. Where a
    launcher copied the files without git, ANIMCLIP_COMMIT says what they are.
    """
    if given := os.environ.get("ANIMCLIP_COMMIT"):
        return given
    here = Path(__file__).parent
    command = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        run = subprocess.run(command, cwd=here, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return run.stdout.strip()
