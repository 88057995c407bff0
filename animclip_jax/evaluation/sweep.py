"""The arms of a sweep: found in its folder, gathered into one results.json."""

from pathlib import Path
from typing import Any, NamedTuple

from animclip_jax import files
from animclip_jax.evaluation import results
from animclip_jax.runs import layout

# What evaluations must have in common to be compared.
SAME_QUERIES = ("protocol", "normalization", "queries")


class Sweep(NamedTuple):
    """Arms of a sweep by folder name; `main` is None where nothing says which it is."""

    main: str | None
    arms: list[str]


def find_sweep(workdir: Path) -> Sweep | None:
    """The arms of a sweep: those of WORKDIR/sweep.json, else the subfolders that hold a run.

    Returns:
      None where WORKDIR is a single run.

    Raises:
      ValueError: sweep.json is not {"main": name, "arms": [names]}.
    """
    path = workdir / layout.SWEEP
    if not path.is_file():
        # A run's best step, or other evaluations, may stand in folders below.
        if any((workdir / file).is_file() for file in (layout.CONFIG, layout.RANKS)):
            return None
        signs = (layout.RESULTS, layout.CONFIG, layout.METRICS)
        folders = sorted(folder for folder in workdir.iterdir() if folder.is_dir())
        runs = [one.name for one in folders if any((one / file).is_file() for file in signs)]
        return Sweep(None, runs) if runs else None
    sweep = files.read_json(path)
    named = sweep if isinstance(sweep, dict) else {}
    arms: Any = named.get("arms")
    plain = isinstance(arms, list) and all(
        isinstance(arm, str) and arm not in ("", ".", "..") and Path(arm).name == arm
        for arm in arms
    )
    if not plain or named.get("main") not in arms:
        raise ValueError(
            f'{path}: found {sweep!r}, wanted {{"main": one of the arms, "arms": [folder names]}}'
        )
    return Sweep(named["main"], arms)


def gather(sweep_dir: Path, main_arm: str) -> dict[str, Any]:
    """The results of a sweep: those of `main_arm`, and the other arms' under `controls`.

    Raises:
      FileNotFoundError: an arm is not finished.
      ValueError: there is no such arm, or the arms were not evaluated on the same queries.
    """
    sweep = find_sweep(sweep_dir)
    arms = sweep.arms if sweep else []
    if main_arm not in arms:
        raise ValueError(f"{sweep_dir}: no arm {main_arm!r}, found {arms}: choose with --main")
    for arm in arms:
        if not (path := sweep_dir / arm / layout.RESULTS).is_file():
            raise FileNotFoundError(
                f"arm {arm!r} is not finished: no {path}; the command that started it continues "
                "where it stopped"
            )
    found = {arm: results.read(sweep_dir / arm / layout.RESULTS) for arm in arms}
    main = found.pop(main_arm)
    for arm, control in found.items():
        for field in ("dataset", "num_queries", "num_videos", *SAME_QUERIES):
            if compared(control, field) != compared(main, field):
                path = sweep_dir / arm / layout.RESULTS
                raise ValueError(
                    f"{path}: field {field}: found {control[field]!r}, wanted {main[field]!r} "
                    f"as in {main_arm!r}: arms are compared on the same queries"
                )
    return main | {"arm": main_arm, "controls": found}


def compared(found: dict[str, Any], field: str) -> Any:
    """What of a field two evaluations must have in common.

    The number of frames is the model's own affair; a protocol that fixes it refuses another.
    """
    value = found[field]
    if field != "protocol":
        return value
    return {name: part for name, part in value.items() if name != "num_frames"}


def arms_of(found: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Results by arm, the main one first; a single run has the name ""."""
    if "controls" not in found:
        return {"": found}
    return {found["arm"]: found, **found["controls"]}
