"""Tests of animclip_jax.process."""

import platform

import pytest

from tests import processes


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc's memory is what is tested")
def test_a_large_block_is_used_again() -> None:
    def faults(how: str) -> int:
        ran = processes.run(processes.program("page_faults", how))
        assert ran.returncode == 0, ran.stderr
        return int(ran.stdout)

    assert faults("kept") < 0.05 * faults("not")
