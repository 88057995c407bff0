"""One of several processes that end together, as soon as FOLDER/fail-NUMBER is there.

    python tests/programs/one_that_fails.py HOST:PORT COUNT NUMBER FOLDER

It makes FOLDER/NUMBER when it has joined the others.
"""

import sys
import time
from pathlib import Path

from animclip_jax import distributed
from animclip_jax.cli.signals import stoppable


@stoppable("animclip test")
def main(argv: list[str] | None = None) -> int:
    coordinator, count, number, folder = argv or sys.argv[1:]
    failing = Path(folder) / f"fail-{number}"
    distributed.initialize(coordinator, int(count), int(number), until_a_step_ends=False)
    with distributed.ending_together(after_sigterm=143):
        Path(folder, number).touch()
        while not failing.exists():
            time.sleep(0.05)
        raise OSError("the disk of this machine is gone")


if __name__ == "__main__":
    sys.exit(main())
