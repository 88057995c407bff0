"""What a quick run leaves out, of a file of tests that is made here."""

import os
import sys

import jax
import pytest

from tests import processes
from tests.repository import ROOT

TESTS = """
import concurrent.futures, multiprocessing, subprocess, sys
import jax, jax.numpy as jnp, pytest, tensorflow as tf

sys.path.insert(0, __file__.rpartition("/")[0])

@pytest.fixture(scope="module")
def compiled():
    return jax.jit(lambda x: x + 1)(1)

def test_import(): assert __import__("starts_a_process").WHOLE
def test_plain(): assert jax.ShapeDtypeStruct((), jnp.float32).shape == ()
def test_shapes(): jax.eval_shape(jax.jit(lambda x: x + 1), 1.0)
def test_eager(): jnp.arange(3) + 1
def test_fixture(compiled): assert compiled == 2
def test_command(): subprocess.run([sys.executable, "-c", ""])
def test_worker(): multiprocessing.get_context("spawn").Process(target=print).start()
def test_thread():
    with concurrent.futures.ThreadPoolExecutor(1) as thread:
        try: thread.submit(jax.jit(lambda x: x - 1), 1).result()
        except BaseException as error: raise ValueError("odd") from error
def test_pipeline(): assert list(tf.data.Dataset.range(2).as_numpy_iterator()) == [0, 1]
"""


def test_jax_is_not_imported_before_its_settings():
    for name in ("JAX_PLATFORMS", "JAX_COMPILATION_CACHE_DIR"):
        assert getattr(jax.config, name.lower()) == os.environ[name]


def test_bytecode_is_kept_here_and_in_processes_that_tests_start():
    assert not sys.dont_write_bytecode and "PYTHONDONTWRITEBYTECODE" not in os.environ


STARTS_A_PROCESS = """
import subprocess, sys
subprocess.run([sys.executable, "-c", ""])
WHOLE = True
"""


@pytest.mark.slow
def test_what_compiles_or_starts_a_process_is_left_out_of_a_quick_run(tmp_path):
    (tmp_path / "test_made_here.py").write_text(TESTS)
    (tmp_path / "starts_a_process.py").write_text(STARTS_A_PROCESS)
    quick = [sys.executable, "-m", "pytest", "-c", str(ROOT / "pyproject.toml"), "-rs", "--quick"]
    command = [*quick, f"--rootdir={tmp_path}", str(tmp_path)]
    done = processes.run(command, JAX_PLATFORMS="cpu")
    assert "2 passed, 7 skipped" in done.stdout, done.stdout + done.stderr
    for why in ("traces a program", "starts a process", "builds a pipeline of tf.data"):
        assert f"not quick: {why}" in done.stdout
    again = processes.run(command, JAX_PLATFORMS="cpu")
    assert "2 passed, 7 deselected" in again.stdout, again.stdout + again.stderr
    assert "quick: 7 tests were skipped before and are left out" in again.stdout
    with (tmp_path / "test_made_here.py").open("a") as tests:
        tests.write("\n")
    assert "traces a program" in processes.run(command, JAX_PLATFORMS="cpu").stdout
