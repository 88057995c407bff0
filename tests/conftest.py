"""What every test runs under: JAX on the CPU, compiled programs kept between runs, real data."""

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]

# Before anything imports JAX, and inherited by the processes that tests start, which compile the
# same programs. JAX writes entries in place: who reads half of one compiles the program again.
os.environ["JAX_PLATFORMS"] = "cpu"
os.environ["JAX_COMPILATION_CACHE_DIR"] = str(ROOT / ".pytest_cache" / "jax")
os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0.1"
# Programs of tests are compiled more often than run: machine code that is not optimized takes a
# quarter less of the CPU. What JAX and XLA make of a program before that is the same.
FLAGS = f"{os.environ.get('XLA_FLAGS', '')} --xla_backend_optimization_level=0"
os.environ["XLA_FLAGS"] = FLAGS.strip()

# Bytecode is kept, also where the environment says otherwise: without, each worker rewrites the
# asserts of every test file, and each process that a test starts compiles all of the package.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

import animclip_jax  # noqa: E402, F401  (quietens JAX and TensorFlow, before they load)


def pytest_itemcollected(item: pytest.Item) -> None:
    """Tests that need a browser can be chosen, and left out, as such."""
    if "browser" in getattr(item, "fixturenames", ()):
        item.add_marker("browser")


@pytest.fixture(scope="module", autouse=True)
def room_for_programs() -> Iterator[None]:
    """A worker runs thousands of tests, whose programs together are too many for a process."""
    yield
    from tests import mappings

    mappings.let_programs_go()


@pytest.fixture(scope="session")
def search_model_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a small model of random weights that re-ranks."""
    from tests import searchable

    return searchable.write_model(tmp_path_factory.mktemp("models") / "small")


@pytest.fixture(scope="session")
def search_model(search_model_path: Path):
    """That model, as `exported.load` reads it."""
    from animclip_jax import api

    return api.load(search_model_path)


@pytest.fixture(scope="session")
def indexed(tmp_path_factory: pytest.TempPathFactory, search_model, search_model_path) -> Path:
    """An index made with it, in a folder with its videos; tests leave both as they are."""
    from tests import searchable

    home = tmp_path_factory.mktemp("indexed")
    searchable.write_videos(home / "videos")
    searchable.index(home / "videos", home / "index", search_model, search_model_path)
    return home / "index"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """A folder of real captioned pictures and videos; tests that need it are skipped without."""
    given = os.environ.get("ANIMCLIP_TEST_DATA")
    if given is None:
        pytest.skip("needs real data: ANIMCLIP_TEST_DATA does not name its folder")
    path = Path(given)
    if not path.is_dir():
        pytest.fail(f"ANIMCLIP_TEST_DATA={given}: no such folder")
    return path


@pytest.fixture(scope="session")
def split():
    """How batches and galleries lie on this process's devices, as every command has them."""
    from animclip_jax import sharding

    return sharding.batch_sharding(sharding.make_mesh(sharding.MeshConfig(-1, 1)))


@pytest.fixture(scope="session")
def browser():
    """Headless Chromium; tests that need it are skipped without."""
    playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    found = [shutil.which(name) for name in ("chromium", "chromium-browser", "google-chrome")]
    path = next(filter(None, found), None)
    if path is None:
        pytest.skip("no Chromium on the path")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def browser_options() -> dict[str, Any]:
    """What `browser` opens `page` with, as Playwright's contexts have it."""
    return {}


@pytest.fixture(params=["wide", "narrow"])
def page(browser, server, browser_options, request):
    """The page of `server` in that browser, in two sizes."""
    from tests import browsing

    where = browser, server.url, request.param, request.node.name
    with browsing.opened(*where, **browser_options) as page:
        yield page


@pytest.fixture(scope="module")
def server(indexed):
    """A running `animclip serve` of the small index, which makes no previews."""
    from tests.served import served

    with served(indexed, "--previews=none") as running:
        yield running
