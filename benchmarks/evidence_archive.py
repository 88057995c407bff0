"""Runs that a table was made of, kept in one file: their results and the rank of every query.

    python -m benchmarks.evidence_archive NAME SWEEP [SWEEP ...]

writes docs/evidence/runs/NAME.zip, which `python -m benchmarks.evidence` takes in place of the
sweeps' folders.
"""

import argparse
import contextlib
import os
import sys
import tempfile
import time
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from animclip_jax import files
from animclip_jax.runs import layout

ARCHIVES = Path(__file__).resolve().parents[1] / "docs" / "evidence" / "runs"
KEPT = (layout.RESULTS, layout.RANKS)


def pack(path: Path, sweeps: Sequence[Path]) -> None:
    """Writes a zip with a folder for each sweep, 0, 1, ..., in it one for each arm and their order.

    Raises:
      FileNotFoundError: a sweep has no evaluated arm, or an arm lacks the ranks. DiskError.
    """
    with (
        files.replacing(path) as temporary,
        zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive,
    ):
        for number, sweep in enumerate(sweeps):
            arms = sorted(found.parent for found in sweep.glob(f"*/{layout.RESULTS}"))
            if not arms:
                raise FileNotFoundError(f"{sweep}: no arm with a {layout.RESULTS}")
            if (arms_of := sweep / layout.SWEEP).is_file():
                archive.write(arms_of, f"{number}/{layout.SWEEP}")
            for arm in arms:
                for name in KEPT:
                    archive.write(arm / name, f"{number}/{arm.name}/{name}")


@contextlib.contextmanager
def unpacked(sweeps: Sequence[Path]) -> Iterator[list[Path]]:
    """The sweeps' folders; of a .zip those in it, unpacked for as long as they are used.

    Raises:
      ValueError: a .zip that is damaged.
    """
    with tempfile.TemporaryDirectory() as temporary:
        found: list[Path] = []
        for number, path in enumerate(sweeps):
            if path.suffix != ".zip":
                found.append(path)
                continue
            folder = Path(temporary) / str(number)  # several may have one name
            folder.mkdir()
            try:
                _unpack(path, folder)
            except (zipfile.BadZipFile, zlib.error, EOFError) as error:
                raise ValueError(f"{path}: damaged, or no archive of runs ({error})") from None
            if not any(folder.iterdir()):
                raise ValueError(f"{path}: an empty archive, wanted runs")
            found += sorted(folder.iterdir())
        yield found


def _unpack(path: Path, folder: Path) -> None:
    """Files keep the time at which they were made: tables give the day."""
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            made = time.mktime((*member.date_time, 0, 0, -1))
            os.utime(archive.extract(member, folder), (made, made))


def main(argv: list[str] | None = None) -> int:
    """Writes the archive; 1 where that is not possible."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", help="of the experiment")
    parser.add_argument("sweeps", nargs="+", type=Path, help="folders of `train --sweep`")
    options = parser.parse_args(argv)
    path = ARCHIVES / f"{options.name}.zip"
    try:
        pack(path, options.sweeps)
    except OSError as error:
        print(f"benchmarks.evidence_archive: {error}", file=sys.stderr)
        return 1
    print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
