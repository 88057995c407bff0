"""Scenes, each drawn up once by a worker, whichever tests look at it."""

import functools
from collections.abc import Callable

import pytest

from input_pipeline.drawn.scene import Scene, scene


@pytest.fixture(scope="session")
def drawn() -> Callable[[str, int], Scene]:
    """`scene`, which keeps what it drew up."""
    return functools.cache(scene)
