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
    try:
        commit = _git("rev-parse", "HEAD")
        changed = _git("status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.CalledProcessError):
        return None
    return f"{commit}-dirty" if changed else commit


def _git(*command: str) -> str:
    # Others may work in the checkout: no lock is taken, which a kill or a full disk would leave.
    # Without that option, and by `git describe --dirty` in any case, git writes its index anew.
    run = subprocess.run(
        ["git", "--no-optional-locks", *command],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=True,
    )
    return run.stdout.strip()
