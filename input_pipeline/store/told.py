"""What a store holds and what preparing it did, for people."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from animclip_jax.words import count
from input_pipeline.media import quarantine
from input_pipeline.store import making


def coverage(wanted: int, found: int) -> str:
    """How many items there are of how many: "1,380 of 1,500 (92.0%)"."""
    return f"{found:,} of {wanted:,} ({found / max(wanted, 1):.1%})"


def report(out: Path, summary: dict[str, Any], what: str) -> str:
    """What is there now. what: "videos" or "pictures"."""
    lines = [f"{out}: {count(summary['num_items'], what[:-1])} of {summary['source']}"]
    if summary["num_quarantined"]:
        path = out / quarantine.NAME
        lines.append(f"{summary['num_quarantined']} can't be used, listed in {path}")
    splits = summary.get(making.SPLITS, {})
    for name, counts in splits.items():
        lines.append(f"  {name}: {coverage(**counts)} {what}")
    if splits:
        lines.append(f"a split is a source: folder:{out}@split={min(splits)}")
    return "\n".join(lines)
