"""Tests of animclip_jax.process."""

import platform
import warnings

import pytest

from animclip_jax import process
from input_pipeline.media import picture
from tests import processes
from tests.input_pipeline.pictures import encode


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc's memory is what is tested")
def test_a_large_block_is_used_again() -> None:
    def faults(block: int) -> int:
        ran = processes.run(processes.program("page_faults", block))
        assert ran.returncode == 0, ran.stderr
        return int(ran.stdout)

    kept, left_alone = faults(process.LARGEST_KEPT + 1), faults(process.LARGEST_KEPT)
    assert kept < 0.05 * left_alone


def test_odd_metadata_of_a_picture_warns_of_nothing() -> None:
    odd = b"Exif\0\0MM\0*\0\0\0\x08\0\1\1\x12\0\3\0\0\0\x09\xff\xff\xff\xff\0\0\0\0"
    data = encode("RGB", "JPEG", exif=odd)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        process.ignore_odd_pictures()
        assert picture.pixels(data, picture.QUERY).shape == (50, 70, 3)
