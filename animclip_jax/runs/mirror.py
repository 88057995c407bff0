"""A run's folder in a bucket: checkpoints go there at once, everything else from time to time.

Log lines are appended and TensorBoard's files grow, which buckets can't do: these live in a local
folder and are copied up with every checkpoint. A run that goes on on another machine fetches the
log lines and the samples, which its report shows; its TensorBoard begins anew there.
"""

import hashlib
import os
from pathlib import Path

from etils import epath

from animclip_jax.files import is_remote, write_bytes
from animclip_jax.runs import layout

# What a run that goes on reads of its folder, beside its samples.
FETCHED = (
    layout.CONFIG,
    layout.TOKENIZER_MODEL,
    layout.TOKENIZER_JSON,
    layout.METRICS,
    layout.TRACKED,
    layout.RESULTS,
    layout.FINISHED,
)


def local_folder(workdir: epath.PathLike, cache_dir: str) -> Path:
    """The folder itself, or the local one that stands for a folder in a bucket."""
    if not is_remote(workdir):
        return Path(str(workdir))
    name = hashlib.sha256(str(workdir).encode()).hexdigest()[:16]
    return Path(os.path.expanduser(cache_dir)) / "runs" / name


class Mirror:
    """`local` stands for `remote`; where the run's folder is local, both are that folder."""

    def __init__(self, workdir: epath.PathLike, cache_dir: str):
        """Fetches what is there of the run; cache_dir: where local copies are kept."""
        self.remote = epath.Path(workdir)
        self.local = local_folder(workdir, cache_dir)
        self.pushed: dict[Path, tuple[int, int]] = {}
        if not is_remote(workdir):
            return
        self.local.mkdir(parents=True, exist_ok=True)
        for name in (*FETCHED, *self._samples()):
            if (self.remote / name).exists():
                write_bytes(self.local / name, (self.remote / name).read_bytes())
            else:
                (self.local / name).unlink(missing_ok=True)

    def _samples(self) -> list[str]:
        """Names of the files in samples/, here or there."""
        folders = self.local / layout.SAMPLES, self.remote / layout.SAMPLES
        found = {path.name for one in folders if one.is_dir() for path in one.iterdir()}
        return [f"{layout.SAMPLES}/{name}" for name in sorted(found)]

    def push(self) -> None:
        """Copies up what has changed since the last time."""
        if not is_remote(self.remote):
            return
        last = self.local / layout.FINISHED
        # Whoever finds `finished` there finds everything else too, also where this is killed.
        for path in sorted(self.local.rglob("*"), key=lambda path: (path == last, path)):
            if path == self.local / layout.LOCK:
                continue
            state = path.stat()
            now = (state.st_mtime_ns, state.st_size)
            if path.is_file() and self.pushed.get(path) != now:
                target = self.remote / path.relative_to(self.local).as_posix()
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(path.read_bytes())
                self.pushed[path] = now
