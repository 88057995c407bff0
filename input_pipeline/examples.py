"""What batches are made of: the examples of a source, and what a run makes of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from animclip_jax.animation.config import COMPONENTS, AnimationConfig
from animclip_jax.words import count, require_at_least
from input_pipeline.tokenizers import CLIP, CLIP_VOCAB_SIZE

if TYPE_CHECKING:
    from input_pipeline.tensorflow_on_cpu import tf


# The field of an item of a store that has a `Told` for each of its captions.
TOLD = "told"


class Told(NamedTuple):
    """What a source knows of a caption beside its words.

    motion: whether it names a motion or an order, which no frame shows alone. sibling: the id of a
    video that is the same but for one thing, so that the caption is false of it; "" where there is
    none. differs: that thing, in a word.
    """

    motion: bool = False
    sibling: str = ""
    differs: str = ""


@dataclass(frozen=True)
class Examples:
    """An opened source of N examples.

    name: the source as it was written. ids: N names, each once. captions: one or more for each.
    Both may be made of columns, a text at a time, when they are asked for (`columns/texts.py`).
    fetch: from an index (int64 scalar) to its encoded frames, tf.string [F], in TensorFlow ops
    alone, so that it runs inside Dataset.map; F is 1 where is_video is False.
    sizes: int32 [N, 2], (height, width) in pixels, as shown. orientations: uint8 [N], how that is
    stored, EXIF's 1 to 8. quarantine: the file that lists what can't be used, if there is one.
    missing: what belongs to the source and can't be used, with the reason. told: of each caption,
    as `captions` has them; empty where the source knows nothing of its captions. boxes: float32
    [N, 4], around what the captions speak of, see `media/box.py`; None where none is known.
    digest: of the ids and captions in their order, `columns.digest`; "" where it is not known yet.
    fields: of each example, the other values of its rows, by name; empty where there are none, and
    for sources that are not folders of pictures.
    state: changes with the size or time of a file, `making.state`; "" where it is not known.
    """

    name: str
    ids: Sequence[str]
    captions: Sequence[Sequence[str]]
    fetch: Callable[[tf.Tensor], tf.Tensor]
    is_video: bool
    sizes: np.ndarray
    orientations: np.ndarray
    quarantine: Path | None
    missing: Mapping[str, str] = field(default_factory=dict)
    told: Sequence[Sequence[Told]] = ()
    boxes: np.ndarray | None = None
    digest: str = ""
    fields: Sequence[Mapping[str, Any]] = ()
    state: str = ""


@dataclass(frozen=True)
class BatchConfig:
    """All that a run's batches depend on, besides their source.

    canvas_size: pixels, the side of the square that holds what a clip sees of its picture.
    batch_size: clips of all processes together. group_size: consecutive examples that stay together
    when a source is shuffled. footage: a video is shown as it was shot, not one frame of it filmed.
    squashed: footage that is not framed is whole frames made square, as the evaluation shows them
    to some models; else it is their middle.
    context_length: tokens a caption. vocab_size, tokens (their kind), tokenizer (the file of the
    vocabulary): see `open_tokenizer`.

    Raises ValueError: a number is too small.
    """

    animation: AnimationConfig
    batch_size: int
    seed: int
    canvas_size: int
    group_size: int = 1
    footage: bool = False
    squashed: bool = False
    context_length: int = 77
    vocab_size: int = CLIP_VOCAB_SIZE
    tokens: str = CLIP
    tokenizer: str = ""

    def __post_init__(self) -> None:
        require_at_least(0, {"seed": self.seed})
        sizes = {"data.canvas_size": self.canvas_size, "data.group_size": self.group_size}
        require_at_least(1, {"batch_size": self.batch_size} | sizes)

    def check(self, process_count: int) -> None:
        """Finds what no source can be filmed with, where so many processes share each batch.

        Raises ValueError for sizes that don't divide each other, and for footage with a component
        beside the framing, which it can't have.
        """
        size, groups = self.batch_size, process_count * self.group_size
        siblings = self.animation.told.siblings
        if size % groups:
            raise ValueError(
                f"batch_size {size}: wanted a multiple of process_count x group_size = "
                f"{process_count} x {self.group_size}, so that every process gets whole groups"
            )
        if siblings and size % (2 * groups):
            raise ValueError(
                f"batch_size {size}: with animation.told.siblings {siblings} wanted a multiple "
                f"of 2 x process_count x group_size = 2 x {process_count} x {self.group_size}, so "
                "that every process gets whole pairs; change it, or set animation.told.siblings to "
                "0"
            )
        if self.footage:
            self._check_footage()

    def _check_footage(self) -> None:
        on = [name for name in COMPONENTS if self.animation.is_on(name)]
        if moving := [name for name in on if name != "framing"]:
            raise ValueError(
                "data.footage shows a video's own frames, and animation.preset="
                f"{self.animation.preset} has {', '.join(moving)}: wanted the preset still, for a "
                "part of the picture, or repeat, for what the evaluation shows of it"
            )

    def check_groups(self, examples: Examples) -> None:
        """Finds that a source's examples are the groups that they were put in.

        Raises ValueError for no examples, for a number that is no multiple of group_size, and where
        some are missing: whoever stands behind them would be in another group.
        """
        size = self.group_size
        if size > 1 and examples.missing:
            some = ", ".join([*examples.missing][:5])
            raise ValueError(
                f"{examples.name}: {count(len(examples.missing), 'example')} can't be used ({some}"
                f"{', ...' if len(examples.missing) > 5 else ''}), so the groups of {size} behind "
                f"them would be others: take their whole groups out of the source, or set "
                "data.group_size=1"
            )
        if not examples.ids or len(examples.ids) % size:
            raise ValueError(
                f"{examples.name}: {count(len(examples.ids), 'example')}, wanted a multiple of "
                f"group_size {size}, and not 0"
            )

    @property
    def reading(self) -> tuple[str, int, int, str]:
        """The arguments of `open_tokenizer`."""
        return self.tokens, self.context_length, self.vocab_size, self.tokenizer

    @property
    def tells_motion(self) -> bool:
        """Whether it is known of captions what motion they name: those that are made here do."""
        return not self.footage and self.animation.told.probability > 0

    @property
    def has_frames(self) -> bool:
        """Whether batches come as frames (`Footage`), not as canvases and plans (`Filmed`)."""
        return self.footage or self.animation.render == "host"
