"""What a process sets once, before its work: log levels, compiled programs, freed memory.

TensorFlow's part, which leaves the GPU to JAX, is `input_pipeline/tensorflow_on_cpu.py`.
"""

import contextlib
import os
import warnings
from pathlib import Path

# Before libtpu loads: it asks no metadata server what machine this is, and lets a second one load.
FOR_LIBTPU = {
    "TPU_SKIP_MDS_QUERY": "1",
    "ALLOW_MULTIPLE_LIBTPU_LOAD": "1",
    "TPU_ACCELERATOR_TYPE": "v5litepod-1",
    "TPU_WORKER_HOSTNAMES": "localhost",
}
# What Linux shows of a GPU: NVIDIA's, AMD's, or that of the Windows around it.
GPUS = ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg")
# Where programs are kept that no configuration names a place for.
CACHE = "~/.cache/animclip"
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8  # malloc.h
_OTHER_FILES = 256  # that a process may come to open besides
_LARGEST, _NEVER = 1 << 30, (1 << 31) - 1


def quieten() -> None:
    """Keeps start-up notes out of every command; takes effect before JAX and TensorFlow load."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    # TensorFlow's note on oneDNN obeys no log level. Without oneDNN its results also stop depending
    # on the number of threads, and decoding and cropping pictures never used it.
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
    if not has_tpu():
        # Else libtpu, where it is installed, looks for a TPU and prints that it finds none.
        describe_tpu()


def has_tpu(devices: Path = Path("/sys/bus/pci/devices")) -> bool:
    """Whether a device of Google's is in this machine, by what Linux lists."""
    return any(path.read_text().strip() == "0x1ae0" for path in devices.glob("*/vendor"))


def describe_tpu() -> None:
    """Gives libtpu a machine's description, so that it needs no TPU here to load."""
    for name, value in FOR_LIBTPU.items():
        os.environ.setdefault(name, value)


def keep_compiled_programs(cache_dir: str) -> None:
    """Keeps compiled programs in cache_dir, unless JAX's own variable names a place.

    Raises:
      ValueError: data.cache_dir can't be written.
    """
    import tempfile

    import jax

    cache = Path(os.path.expanduser(cache_dir))
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=cache):
            pass
    except OSError as error:
        raise ValueError(
            f"data.cache_dir is {cache_dir}, and {cache} can't be written: {error.strerror}. "
            "Choose another folder by --config.data.cache_dir=FOLDER"
        ) from error
    # On a full disk a program is compiled again next time; what else finds no room there says so.
    warnings.filterwarnings("ignore", "Error writing persistent compilation cache entry")
    if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
        jax.config.update("jax_compilation_cache_dir", str(cache / "compiled"))


def keep_programs_of_queries() -> None:
    """Keeps all programs of a command without a configuration, in CACHE if it can be written.

    The many small ones too: together they take longer than what a query is for.
    """
    import contextlib

    import jax

    with contextlib.suppress(ValueError):
        keep_compiled_programs(CACHE)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)


def leave_devices_alone() -> None:
    """Leaves the devices here to other processes, which JAX would not share them with."""
    import jax

    jax.config.update("jax_platforms", "cpu")


def compile_alone() -> None:
    """Leaves the devices here alone, which may be at work: programs are compiled for others."""
    import jax

    leave_devices_alone()
    # A program that a cache keeps can't be read without its chips.
    jax.config.update("jax_enable_compilation_cache", False)


def ignore_odd_pictures() -> None:
    """Says nothing of odd metadata in the pictures that people search with."""
    warnings.filterwarnings("ignore", module="PIL")


def computes_on_cpu() -> bool:
    """Whether JAX will, by what can be known before it loads."""
    if named := os.environ.get("JAX_PLATFORMS"):
        return named == "cpu"
    return not has_tpu() and not any(Path(path).exists() for path in GPUS)


def allow_open_files(count: int) -> int:
    """Lets this process open so many files more than it has open now; how many of them it may."""
    try:
        import resource
    except ModuleNotFoundError:  # Windows, which has no such limit.
        return count
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    others = len(os.listdir("/dev/fd")) + _OTHER_FILES
    wanted = others + count
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            soft = wanted
    return count if soft == resource.RLIM_INFINITY else max(0, min(count, soft - others))


def keep_freed_memory() -> None:
    """Has glibc keep what this process frees, since the next step takes as much again.

    Takes effect in threads that start later. Other C libraries go on as they do.
    """
    import ctypes
    import platform

    if platform.libc_ver()[0] != "glibc":
        return
    mallopt = ctypes.CDLL(None).mallopt
    mallopt(_M_MMAP_THRESHOLD, _LARGEST)
    mallopt(_M_TRIM_THRESHOLD, _NEVER)
    if computes_on_cpu():
        # A step's memory is one block of XLA's, which a thread of its own takes; and what threads
        # beside the first hold by themselves is never larger than 32 MiB.
        mallopt(_M_ARENA_MAX, 1)
