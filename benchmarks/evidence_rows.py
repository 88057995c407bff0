"""What `benchmarks.evidence` finds: by arm its values and its gain on another arm."""

from typing import NamedTuple

import numpy as np

SIGNIFICANT = 0.05


class Difference(NamedTuple):
    """An arm's mean over seeds less its base's, its 95 % interval, and p of there being none."""

    value: float
    lower: float
    upper: float
    p: float

    @property
    def is_significant(self) -> bool:
        return self.p < SIGNIFICANT


class Row(NamedTuple):
    """One arm, direction and stage; by measure its values by seed, and what it gains on `base`.

    Where it is of gains, `arm` and `base` are differences between two arms each, and so are values.
    raised: of the re-ranked R@1 over the coarse one of the same arm; None in rows of coarse scores.
    """

    arm: str
    base: str
    direction: str
    stage: str
    values: dict[str, np.ndarray]
    gains: dict[str, Difference]
    raised: Difference | None
    is_of_gains: bool = False
