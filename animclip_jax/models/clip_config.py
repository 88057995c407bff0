"""The architecture of dual encoders, whichever family they are of."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from animclip_jax.models import towers
from animclip_jax.models.towers import CLIP, Towers
from animclip_jax.models.transformer import (
    ACTIVATIONS,
    REMAT_POLICIES,
    TransformerConfig,
    require_sizes,
)


@dataclasses.dataclass(frozen=True)
class ClipConfig:
    """The architecture of both towers, and how it is computed.

    `towers`: the family. `activation` of the MLPs: quick_gelu (OpenAI's models), gelu (most of
    open_clip's, PE-Core, and VideoPrism's video tower) or gelu_tanh (SigLIP). `dtype` is what
    products are computed in, parameters are float32. `remat`: which intermediate results the
    backward pass computes again to save memory: none, block (of each layer all except its input) or
    dots (all except its matrix products); the values are the same. `attention`: how training
    computes it: xla (its logits pass through memory), kernel (they do not: on TPUs by a kernel of
    ours where it serves, on GPUs by cuDNN) or auto (the kernel on TPUs, xla elsewhere).
    `tokenizer`: the file of the vocabulary, wherever it is now; CLIP's needs none.
    """

    image_size: int
    patch_size: int
    vision: TransformerConfig
    text: TransformerConfig
    context_length: int = 77
    vocab_size: int = 49408
    embed_dim: int = 512
    activation: str = "quick_gelu"
    dtype: str = "float32"
    remat: str = "none"
    attention: str = "auto"
    towers: Towers = CLIP
    tokenizer: str = dataclasses.field(default="", compare=False)

    def __post_init__(self) -> None:
        require_sizes(self, "image_size", "patch_size", "context_length", "vocab_size", "embed_dim")
        for name, possible in (
            ("activation", tuple(ACTIVATIONS)),
            ("dtype", ("float32", "bfloat16")),
            ("remat", tuple(REMAT_POLICIES)),
            ("attention", ("auto", "xla", "kernel")),
        ):
            given = getattr(self, name)
            if given not in possible:
                raise ValueError(f"{name} {given!r}: wanted one of {', '.join(possible)}")
        if self.towers.video.frames:
            require_sizes(self.towers.video, "frames", "temporal_layers", "auxiliary_layers")
        if self.image_size % self.patch_size:
            raise ValueError(
                f"image_size {self.image_size} is not a multiple of patch_size {self.patch_size}"
            )
        if self.towers.vision.projection == towers.NONE and self.embed_dim != self.vision.width:
            raise ValueError(
                f"embed_dim {self.embed_dim}: wanted the vision tower's width, "
                f"{self.vision.width}, since it has no projection"
            )
        if self.towers.text.projection == towers.NONE and self.embed_dim != self.text.width:
            raise ValueError(
                f"embed_dim {self.embed_dim}: wanted the text tower's width, {self.text.width}, "
                "since it has no projection"
            )

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> "ClipConfig":
        """From the fields of `dataclasses.asdict`, with or without those that have defaults.

        Raises:
          TypeError, KeyError, ValueError: they are not the fields of an architecture.
        """
        fields = dict(fields)
        for tower in ("vision", "text"):
            fields[tower] = TransformerConfig(**fields[tower])
        return cls(**fields | {"towers": Towers.from_dict(fields.get("towers", {}))})

    @property
    def fitted(self) -> tuple[int, str, str, bool]:
        """The arguments of `input_pipeline.media.picture.fit` behind the picture."""
        pixels = self.towers.pixels
        return self.image_size, pixels.resize, pixels.interpolation, pixels.antialias

    @property
    def reading(self) -> tuple[str, int, int, str]:
        """The arguments of `input_pipeline.tokenizers.opening.open_tokenizer`."""
        return self.towers.tokenizer, self.context_length, self.vocab_size, self.tokenizer

    @property
    def grid(self) -> int:
        """Patches along one side of a frame."""
        return self.image_size // self.patch_size
