"""Tests of animclip_jax.process."""

import platform

import pytest

from animclip_jax import process
from tests import processes


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc's memory is what is tested")
def test_a_large_block_is_used_again() -> None:
    def faults(block: int) -> int:
        ran = processes.run(processes.program("page_faults", block))
        assert ran.returncode == 0, ran.stderr
        return int(ran.stdout)

    kept, left_alone = faults(process.LARGEST_KEPT + 1), faults(process.LARGEST_KEPT)
    assert kept < 0.05 * left_alone
