"""What every test runs under: JAX on the CPU, compiled programs kept between runs, real data."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

# Before anything imports JAX, and inherited by the processes that tests start. Each xdist worker
# has a cache of its own: JAX writes entries in place, and another process would read half of one.
os.environ["JAX_PLATFORMS"] = "cpu"
os.environ["JAX_COMPILATION_CACHE_DIR"] = str(
    ROOT / ".pytest_cache" / "jax" / os.environ.get("PYTEST_XDIST_WORKER", "main")
)
os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0.1"

import animclip_jax  # noqa: E402, F401  (quietens JAX and TensorFlow, before they load)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """A folder of real captioned pictures and videos; tests that need it are skipped without."""
    given = os.environ.get("ANIMCLIP_TEST_DATA")
    path = Path(given) if given else ROOT.parent / "shared" / "data"
    if not path.is_dir():
        pytest.skip(f"no real data: {path} is no folder (ANIMCLIP_TEST_DATA names another)")
    return path
