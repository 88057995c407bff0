"""`animclip export` that says when all is written, and then sleeps instead of checking it."""

import sys
import time
from unittest import mock

from animclip_jax import export
from animclip_jax.exporting import example


def sleep(*_: object) -> None:
    print("written", flush=True)
    time.sleep(60)


if __name__ == "__main__":
    with mock.patch.object(example, "check", sleep):
        sys.exit(export.main())
