"""`animclip train` whose third batch is an error; makes the file $FAILED as it fails."""

import itertools
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

from animclip_jax import train
from animclip_jax.training import data

opened = data.open_batches


def two_batches(*arguments: Any) -> Iterator[Any]:
    yield from itertools.islice(opened(*arguments), 2)
    Path(os.environ["FAILED"]).touch()
    raise OSError("the disk of this machine is gone")


if __name__ == "__main__":
    with mock.patch.object(data, "open_batches", two_batches):
        sys.exit(train.main())
