"""`animclip evaluate` where $BUCKET is a bucket, or where $FAILS of a process does not work.

$FAILS: "video", which the second process can't read, or "disk", which is full for the first one.
"""

import errno
import os
import sys
from collections.abc import Iterator
from typing import Any
from unittest import mock

import jax

from animclip_jax import evaluate, files
from animclip_jax.evaluation import arm
from animclip_jax.runs import mirror

eval_batches, is_remote = arm.eval_batches, mirror.is_remote


def one_broken(*arguments: Any, **named: Any) -> Iterator[Any]:
    if jax.process_index() == 1:
        raise ValueError("drawn:val:12: 'v7' can't be used as a picture: it is cut short")
    yield from eval_batches(*arguments, **named)


def full(*_: Any, **__: Any) -> None:
    raise files.DiskError(errno.ENOSPC, os.strerror(errno.ENOSPC), "ranks.npz")


if __name__ == "__main__":
    broken = {"video": ("eval_batches", one_broken), "disk": ("write_rankings", full)}
    name, instead = broken.get(os.environ.get("FAILS", ""), ("eval_batches", eval_batches))
    bucket = os.environ.get("BUCKET", "")
    with (
        mock.patch.object(arm, name, instead),
        mock.patch.object(mirror, "is_remote", lambda path: str(path) == bucket or is_remote(path)),
    ):
        sys.exit(evaluate.main())
