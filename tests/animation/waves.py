"""A smooth picture whose colour is known at every place."""

import numpy as np


def wave(height: int, width: int) -> np.ndarray:
    """uint8 [height, width, 3], see `wave_at`."""
    y, x = np.meshgrid(np.arange(height) + 0.5, np.arange(width) + 0.5, indexing="ij")
    return np.round(wave_at(y / height, x / width) * 255).astype(np.uint8)


def wave_at(y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Its colour at fractions of its height and width, 0 to 1."""
    phases = [7 * y + 3 * x, 2 * y - 6 * x + 1, 5 * y + 5 * x + 2]
    return 0.5 + 0.45 * np.sin(np.stack(phases, axis=-1))
