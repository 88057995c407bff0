"""Pictures and films of them that tests of shots share: no two are alike, all have like colours."""

import numpy as np

HEIGHT, WIDTH = 72, 128


def texture(seed: int) -> np.ndarray:
    """Coloured blocks, uint8 [HEIGHT, WIDTH, 3]."""
    blocks = np.random.default_rng(seed).integers(20, 236, (9, 16, 3), np.uint8)
    return blocks.repeat(8, axis=0).repeat(8, axis=1)


def still(seed: int, count: int) -> np.ndarray:
    """A film of `count` frames in which a white block travels over a texture."""
    frames = np.repeat(texture(seed)[None], count, axis=0)
    for number, frame in enumerate(frames):
        frame[8:24, 8 + number % 96 :][:, :16] = 250
    return frames


def dissolved(before: np.ndarray, after: np.ndarray, count: int) -> np.ndarray:
    """Two films; the last frames of the one are mixed with the first of the other."""
    share = (np.arange(1, count + 1) / (count + 1))[:, None, None, None]
    mixed = np.rint((1 - share) * before[-count:] + share * after[:count]).astype(np.uint8)
    return np.concatenate([before[:-count], mixed, after[count:]])


def faded(before: np.ndarray, after: np.ndarray, count: int, colour: int, held: int) -> np.ndarray:
    """Two films; the one ends in a grey level within `count` frames, as the other comes from it."""
    plain = np.full((held, *before.shape[1:]), colour, np.uint8)
    out = dissolved(before, np.repeat(plain[:1], count, axis=0), count)
    back = dissolved(np.repeat(plain[:1], count, axis=0), after, count)
    return np.concatenate([out, plain, back])
