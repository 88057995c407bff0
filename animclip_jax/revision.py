"""Which commit of this software is running."""

import subprocess
from pathlib import Path


def git_commit() -> str | None:
    """The commit's hash, with "-dirty" behind it if files were changed since; None outside git."""
    here = Path(__file__).parent
    command = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        run = subprocess.run(command, cwd=here, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return run.stdout.strip()
