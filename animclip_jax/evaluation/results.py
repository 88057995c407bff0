"""results.json: written and read, both times checked against its schema."""

import json
import math
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator, ValidationError

from animclip_jax import files

DIRECTIONS = {"text_to_video": "text -> video", "video_to_text": "video -> text"}
STAGES = {"coarse": "coarse", "reranked": "re-ranked", "ceiling": "ceiling"}
RECALLS = ("R@1", "R@5", "R@10")
MEASURES = (*RECALLS, "MdR", "MnR")
SCHEMA = json.loads(Path(__file__).with_name("results.schema.json").read_text(encoding="utf-8"))


def write(path: Path, results: dict[str, Any]) -> None:
    """Checks and writes results; a number in `config` that is not finite is written as null.

    Raises:
      ValueError: a field is missing, unknown or not what docs/results.md says.
    """
    plain = as_json(results)
    _check(path, plain)
    files.write_json(path, plain, indent=2)


def read(path: Path) -> dict[str, Any]:
    """The contents of a results.json.

    Raises:
      FileNotFoundError: there is none.
      ValueError: it is not JSON, or a field is missing, unknown or not what docs/results.md says.
    """
    if not path.is_file():
        raise FileNotFoundError(
            f"no {path}: a run writes it when it has been evaluated; finish the run first"
        )
    results = files.read_json(path, "evaluate the run again")
    _check(path, results)
    return results


def as_json(value: Any) -> Any:
    """Tuples as lists, numbers that are not finite as None: what strict JSON can hold."""
    if isinstance(value, dict):
        return {str(name): as_json(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [as_json(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _check(path: Path, results: Any) -> None:
    errors = sorted(Draft202012Validator(SCHEMA).iter_errors(results), key=lambda e: list(e.path))
    if errors:
        raise ValueError(f"{path}: {_explain(errors[0])} (see docs/results.md)")


def _explain(error: ValidationError) -> str:
    found: Any = error.instance
    value: Any = error.validator_value
    place = [str(part) for part in error.absolute_path]
    where = ".".join(place) or "the file"
    if error.validator in ("required", "dependentRequired"):
        name = error.message.split("'")[1]
        what = SCHEMA["properties"].get(name, {}).get("description") if not place else None
        return f"field {'.'.join([*place, name])} is missing" + (f", wanted {what}" if what else "")
    if error.validator == "additionalProperties":
        schema: Any = error.schema
        known = list(schema["properties"])
        unknown = sorted(set(found) - set(known))
        return f"{where}: found unknown fields {unknown}, wanted some of {known}"
    shown = json.dumps(found, default=repr)
    shown = shown if len(shown) <= 80 else shown[:77] + "..."
    if error.validator == "type":
        wanted = value if isinstance(value, str) else " or ".join(value)
        return f"field {where}: found {shown}, wanted {wanted}"
    if error.validator in ("minimum", "maximum"):
        limit = {"minimum": "at least", "maximum": "at most"}[str(error.validator)]
        return f"field {where}: found {shown}, wanted {limit} {value}"
    return f"field {where}: found {shown}, wanted none here"
