"""Pictures with captions, opened as a source, that tests of batches read."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from input_pipeline.examples import Examples
from input_pipeline.sources.opening import open_source
from tests.input_pipeline.made_batches import NUM_PICTURES, write_picture
from tests.input_pipeline.pictures import gradient


@pytest.fixture(scope="session")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("pictures")
    random = np.random.default_rng(0)
    with (directory / "captions.jsonl").open("w") as lines:
        for n in range(NUM_PICTURES):
            name = f"{n}.{'png' if n % 5 == 4 else 'jpg'}"
            # Every eighth takes many times longer than those behind it.
            height, width = random.integers(40, 120, 2) if n % 8 else (1200, 1600)
            write_picture(directory / name, gradient(height, width))
            captions = [f"picture {n} caption {k}" for k in range(1 + n % 3)]
            lines.write(json.dumps({"image": name, "captions": captions}) + "\n")
    return directory


@pytest.fixture(scope="session")
def examples(directory: Path, tmp_path_factory: pytest.TempPathFactory) -> Examples:
    return open_source(f"folder:{directory}", str(tmp_path_factory.mktemp("cache")))
