"""What moves in a video, and what a caption says of it: a part of both stages' scores.

Our design. Neither towers nor cross-attention see directions well: what they keep of a frame says
what is there, not where each bit of it went. So small frames are compared with their neighbours
place by place (a cost volume, as in optical flow), by filters that learn from the flow that the
director's plan gives. All that is kept of it are five numbers a video, in one more token of its
code. Of a clip that runs backwards they are exactly the opposite. A reader of the caption's tokens
says along which of AXES a caption moves, learned from what the director said itself. What is seen
and what is read meet twice: in the embeddings, to which each is added, so that the first stage
knows which way a thing went; and in one more term of the re-ranked score.
"""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from animclip_jax.animation.flow import places
from animclip_jax.animation.told import AXES
from animclip_jax.models.clip_config import ClipConfig
from animclip_jax.models.transformer import require_sizes

# What is kept of a video: how far its places move on average, how they move away from the frame's
# middle and turn about it, and how they move away from each other.
SHOWN = ("right", "down", "outwards", "clockwise", "apart")
# What shows that something moved along each of AXES: pixels go left where the camera goes right. A
# zoom moves all pixels apart; what a thing moves is few of them, and all in one place.
SIGNS: dict[str, dict[str, int]] = {
    "camera right": {"right": -1},
    "camera down": {"down": -1},
    "camera in": {"apart": 1},
    "thing right": {"right": 1},
    "thing down": {"down": 1},
    "thing grows": {"outwards": 1},
    "thing clockwise": {"clockwise": 1},
}
# Products of few numbers that nearly cancel: bfloat16, a TPU's default, would not do.
HIGHEST = jax.lax.Precision.HIGHEST
product = functools.partial(jnp.matmul, precision=HIGHEST)
# A place is a square of so many pixels, and its filter reaches as far again.
STRIDE = 4
# Amounts, in sides of a frame, that show half as much as the largest can.
HALF = np.array([0.03, 0.03, 0.005, 0.003, 0.015], np.float32)
# Places whose ways are compared are so many places from each other.
APART = (2, 4, 6)
# A reader looks at RUN tokens at a time, for CLUES features, and learns QUICK times as fast as the
# optimizer's rate.
RUN, CLUES, QUICK = 5, 128, 4.0
# What is asked moves a caption's embedding by so much; what is seen, a video's by so many times
# what its layer says, which is zero at the start and so gets there sooner.
TEXT_SHARE, VIDEO_GAIN = 1.0, 5.0


@dataclasses.dataclass(frozen=True)
class MotionConfig:
    """`features` of each place that is compared, 0 for no such term; frames shrunk to `side`.

    `reach`: how far a place may move from one frame to the next, in places, which are 4 pixels.
    """

    features: int = 0
    side: int = 64
    reach: int = 5

    def __post_init__(self) -> None:
        require_sizes(self, "features", "reach", section="motion.", least=0)
        require_sizes(self, "side", section="motion.")
        least = STRIDE * (max(APART) + 2)
        if self.features and (self.side % STRIDE or self.side < least):
            raise ValueError(
                f"motion.side {self.side}: wanted a multiple of {STRIDE}, at least {least}"
            )

    @property
    def grid(self) -> int:
        """Places on a side of a frame."""
        return self.side // STRIDE


class Reader(nnx.Module):
    """What captions say of each of AXES, by the runs of words in them.

    Kim 2014, "Convolutional Neural Networks for Sentence Classification". What "slides to the left"
    means does not depend on what slides, nor on where in the caption it is said. Words are read
    before the text tower: its output describes content, and changes while the tower trains.
    """

    def __init__(self, width: int, *, rngs: nnx.Rngs):
        # Both kernels are small by QUICK and their outputs multiplied by it, so that one step of
        # Adam, which is as long for small kernels, counts as QUICK steps.
        first = nnx.initializers.variance_scaling(QUICK**-2, "fan_in", "truncated_normal")
        self.words = nnx.Linear(width, RUN * CLUES, kernel_init=first, rngs=rngs)
        # Zero at the start, so that re-ranking begins as the coarse order.
        zero = nnx.initializers.zeros
        self.clues = nnx.Linear(CLUES, len(AXES), kernel_init=zero, rngs=rngs)

    def __call__(self, words: jax.Array, mask: jax.Array) -> jax.Array:
        """words [P, L, D], embeddings of tokens, mask bool [P, L] -> float32 [P, 7]."""
        x = words.astype(jnp.float32)
        x = x - jnp.mean(x, axis=-1, keepdims=True)
        x = x * jax.lax.rsqrt(jnp.mean(x**2, axis=-1, keepdims=True) + 1e-5)
        parts = jnp.where(mask[..., None], QUICK * self.words(x), 0.0)
        L, before = x.shape[1], RUN // 2
        parts = jnp.pad(parts, ((0, 0), (before, RUN - 1 - before), (0, 0)))
        runs = sum(
            part[:, place : place + L] for place, part in enumerate(jnp.split(parts, RUN, axis=-1))
        )
        clues = jnp.where(mask[..., None], jax.nn.relu(runs), 0.0)
        return QUICK * self.clues(jnp.max(clues, axis=1))


class Motion(nnx.Module):
    """Sees motion in videos, reads it in captions, and says whether the two agree."""

    def __init__(self, clip: ClipConfig, config: MotionConfig, *, rngs: nnx.Rngs):
        self.side, self.grid, self.reach = config.side, config.grid, config.reach
        filters = nnx.initializers.normal((3 * (2 * STRIDE) ** 2) ** -0.5)
        shape = (2 * STRIDE, 2 * STRIDE, 3, config.features)
        self.filters = nnx.Param(filters(rngs.params(), shape))
        self.sharpness = nnx.Param(jnp.log(jnp.full((), 10.0)))
        self.read = Reader(clip.text.width, rngs=rngs)
        self.worth = nnx.Param(jnp.full((), 4.0))
        # Videos' embeddings begin as they are without, and captions' too, for nothing is read yet.
        into_embedding = functools.partial(
            nnx.Linear, len(SHOWN), clip.embed_dim, use_bias=False, precision=HIGHEST, rngs=rngs
        )
        self.of_text = into_embedding(kernel_init=nnx.initializers.orthogonal(TEXT_SHARE))
        self.of_video = into_embedding(kernel_init=nnx.initializers.zeros)

    def compare(self, frames: jax.Array) -> jax.Array:
        """How likely each place of a frame matches each near place of the next frame.

        That is the log of a product: of that place among all that the first one may go to, and of
        the first among all that the second may come from.

        Args:
          frames: float [B, T, H, W, 3] in [0, 1].

        Returns:
          float32 [B, T - 1, N, N] with N = grid * grid, -inf where places are too far apart.
        """
        B, T, H, W, _ = frames.shape
        x = frames.astype(jnp.float32).reshape(B * T, H, W, 3) - 0.5
        if not H == W == self.side:
            x = jax.image.resize(x, (B * T, self.side, self.side, 3), "linear", antialias=True)
        x = jax.lax.conv_general_dilated(
            x,
            self.filters[...],
            (STRIDE, STRIDE),
            "SAME",
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
        )
        x = x - jnp.mean(x, axis=(1, 2), keepdims=True)
        x = x * jax.lax.rsqrt(jnp.sum(x**2, axis=-1, keepdims=True) + 1e-4)
        x = x.reshape(B, T, self.grid**2, -1)
        alike = product(x[:, :-1], jnp.swapaxes(x[:, 1:], -1, -2)) * jnp.exp(self.sharpness[...])
        # Cosines: without a largest one to subtract, the exponentials do not overflow.
        near = jnp.exp(alike) * self._near()
        from_here = jnp.log(jnp.sum(near, axis=-1, keepdims=True))
        to_here = jnp.log(jnp.sum(near, axis=-2, keepdims=True))
        return jnp.where(self._near(), 2.0 * alike - from_here - to_here, -jnp.inf)

    def see(self, likely: jax.Array) -> jax.Array:
        """How much a video shows of each of SHOWN: float32 [B, 5], each within -1 and 1.

        likely: of `compare`.
        """
        matched = jnp.exp(likely)
        back = jnp.swapaxes(matched, -1, -2)
        v, u = np.moveaxis(places(self.grid), -1, 0)
        gone, come = jnp.sum(matched, axis=-1), jnp.sum(back, axis=-1)
        partner = product(matched, places(self.grid))
        moved = [product(come - gone, along) for along in (u, v, v**2 + u**2)]
        turned = product(partner[..., 0], u) - product(partner[..., 1], v)
        mean = jnp.sum(jnp.stack([*moved, turned], axis=-1), axis=1)
        mean = mean / jnp.sum(gone, axis=(1, 2))[:, None]
        ways, ways_back = self._ways(matched, gone), self._ways(back, come)
        apart = 0.5 * (self._apart(ways, gone) - self._apart(ways_back, come))
        amounts = jnp.concatenate([mean, apart[:, None]], axis=-1)
        return amounts / (jnp.abs(amounts) + HALF)

    def _ways(self, matched: jax.Array, share: jax.Array) -> jax.Array:
        """How far each place moves, (v, u): [B, T - 1, N, 2].

        matched: [B, T - 1, N, N]. share: its sum over the last axis, by which places count below.
        """
        here = places(self.grid)
        return product(matched, here) / (share[..., None] + 1e-6) - here

    def _apart(self, way: jax.Array, share: jax.Array) -> jax.Array:
        """How far places move away from each other, of all pairs in a row or a column: [B]."""
        square = (*share.shape[:2], self.grid, self.grid)
        way, share = way.reshape(*square, 2), share.reshape(square)
        total, weight = [], []
        for axis in (0, 1):
            along, counts = (
                jnp.moveaxis(of_places, 2 + axis, -1) for of_places in (way[..., axis], share)
            )
            for step in APART:
                both = counts[..., step:] * counts[..., :-step]
                further = along[..., step:] - along[..., :-step]
                total.append(jnp.sum(both * further, axis=(1, 2, 3)))
                weight.append(jnp.sum(both, axis=(1, 2, 3)))
        return jnp.sum(jnp.stack(total), axis=0) / (jnp.sum(jnp.stack(weight), axis=0) + 1e-6)

    def unlikely(self, likely: jax.Array, flow: jax.Array) -> jax.Array:
        """How little the matches follow the flow: the negative log-likelihood of each clip, [B].

        likely: of `compare`. flow: float32 [B, T - 1, N, 2], where each place goes, of `flow.flow`;
        it is shared by the four places around it, and left out where it is out of reach.
        """
        here = places(self.grid)
        v, u = (
            jnp.maximum(0.0, 1.0 - jnp.abs(flow[..., None, axis] - here[:, axis]) * self.grid)
            for axis in (0, 1)
        )
        share = v * u * self._near()
        total = jnp.sum(share * jnp.where(self._near(), likely, 0.0), axis=(1, 2, 3))
        return -total / (jnp.sum(share, axis=(1, 2, 3)) + 1.0)

    def beside(self, code: jax.Array, seen: jax.Array) -> jax.Array:
        """Codes [B, M, C] with what is seen in one more token: [B, M + 1, C]."""
        token = jnp.pad(seen, ((0, 0), (0, code.shape[-1] - len(SHOWN))))
        return jnp.concatenate([code, token[:, None].astype(code.dtype)], axis=1)

    def apart_from(self, code: jax.Array) -> tuple[jax.Array, jax.Array]:
        """The opposite of `beside`: codes [B, M, C], and float32 [B, 5]."""
        return code[:, :-1], code[:, -1, : len(SHOWN)].astype(jnp.float32)

    def agree(self, asked: jax.Array, seen: jax.Array) -> jax.Array:
        """Of P pairs: float32 [P]. asked: [P or 1, 7]. seen: [P, 5]."""
        return self.worth[...] * jnp.sum(self._wanted(asked) * seen, axis=-1)

    def agree_all(self, asked: jax.Array, seen: jax.Array) -> jax.Array:
        """`agree` of all pairs, captions by videos: [P, 7], [Q, 5] -> float32 [P, Q]."""
        return self.worth[...] * product(self._wanted(asked), seen.T)

    def _wanted(self, asked: jax.Array) -> jax.Array:
        """What a video shows that moves as is asked, [P, 7] -> [P, 5]."""
        signs = np.array([[SIGNS[axis].get(one, 0) for one in SHOWN] for axis in AXES], np.float32)
        return product(asked, signs)

    def in_text(self, asked: jax.Array) -> jax.Array:
        """What to add to captions' embeddings: [P, 7] -> [P, E]."""
        return self.of_text(self._wanted(asked))

    def in_video(self, seen: jax.Array) -> jax.Array:
        """What to add to videos' embeddings, nothing at the start: [P, 5] -> [P, E]."""
        return VIDEO_GAIN * self.of_video(seen)

    def _near(self) -> np.ndarray:
        """bool [N, N], the places that are within reach of each other."""
        where = places(self.grid)
        apart = np.abs(where[:, None] - where[None]).max(axis=-1)
        return apart * self.grid <= self.reach + 0.01
