"""Tests of animclip_jax.process."""

import platform
import warnings

import jax
import pytest

from animclip_jax import process
from input_pipeline.media import picture
from tests import processes
from tests.input_pipeline.pictures import encode


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc's memory is what is tested")
def test_a_large_block_is_used_again_where_the_cpu_computes() -> None:
    def faults(keep: int, platform: str) -> int:
        ran = processes.run(processes.program("page_faults", keep), JAX_PLATFORMS=platform)
        assert ran.returncode == 0, ran.stderr
        return int(ran.stdout)

    left_alone = faults(0, "cpu")
    assert faults(1, "cpu") < 0.05 * left_alone
    assert faults(1, "tpu") > 0.5 * left_alone, "many threads share no arena beside a TPU"


@pytest.mark.parametrize(
    ("platforms", "there", "on_cpu"),
    [("", False, True), ("", True, False), ("cpu", True, True), ("cuda,cpu", False, False)],
)
def test_what_jax_computes_on_is_known_before_it_loads(monkeypatch, platforms, there, on_cpu):
    monkeypatch.setenv("JAX_PLATFORMS", platforms)
    monkeypatch.setattr(process, "has_tpu", lambda: there)
    monkeypatch.setattr(process, "GPUS", ())
    assert process.computes_on_cpu() == on_cpu


def test_odd_metadata_of_a_picture_warns_of_nothing() -> None:
    odd = b"Exif\0\0MM\0*\0\0\0\x08\0\1\1\x12\0\3\0\0\0\x09\xff\xff\xff\xff\0\0\0\0"
    data = encode("RGB", "JPEG", exif=odd)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        process.ignore_odd_pictures()
        assert picture.pixels(data, picture.QUERY).shape == (50, 70, 3)


def test_programs_of_queries_are_kept_where_there_is_room(tmp_path, monkeypatch) -> None:
    folder, seconds = "jax_compilation_cache_dir", "jax_persistent_cache_min_compile_time_secs"
    before = {name: getattr(jax.config, name) for name in (folder, seconds)}
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR", raising=False)
    try:
        (tmp_path / "a file").touch()
        monkeypatch.setattr(process, "CACHE", str(tmp_path / "a file"))
        process.keep_programs_of_queries()
        assert getattr(jax.config, folder) == before[folder], "a file is no folder"
        monkeypatch.setattr(process, "CACHE", str(tmp_path / "kept"))
        process.keep_programs_of_queries()
        assert getattr(jax.config, folder) == str(tmp_path / "kept" / "compiled")
        assert getattr(jax.config, seconds) == 0
        monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path / "mine"))
        monkeypatch.setattr(process, "CACHE", str(tmp_path / "other"))
        process.keep_programs_of_queries()
        assert getattr(jax.config, folder) == str(tmp_path / "kept" / "compiled"), "JAX's own"
    finally:
        for name, value in before.items():
            jax.config.update(name, value)
