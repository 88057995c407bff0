"""What sets families of dual encoders apart beside their sizes.

All of it is data that travels with the weights. Sources: github.com/openai/CLIP; PE-Core,
github.com/facebookresearch/perception_models; SigLIP, github.com/google-research/big_vision;
VideoPrism, github.com/google-deepmind/videoprism.
"""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

CLASS, MAP = "class", "map"  # what a frame is pooled to
END, LAST = "end", "last"  # the token a caption is pooled at
MATRIX, DENSE, NONE = "matrix", "dense", "none"  # what follows; "dense" has a bias
SHORTEST, SQUASH = "shortest", "squash"
BICUBIC, BILINEAR = "bicubic", "bilinear"
# The end of a caption is its greatest id, as in OpenAI's CLIP.
GREATEST = -1


def _require(config: Any, **possible: tuple[str, ...]) -> None:
    """Raises ValueError where a field is of another type than it is declared, or none of these."""
    for field in dataclasses.fields(config):
        given, wanted = getattr(config, field.name), field.type
        types = (int, float) if wanted is float else (wanted,)
        if wanted in (bool, int, float, str) and type(given) not in types:
            raise ValueError(f"{field.name} {given!r:.80}: wanted one of type {wanted.__name__}")
    for name, values in possible.items():
        if (given := getattr(config, name)) not in values:
            raise ValueError(f"{name} {given!r}: wanted one of {', '.join(values)}")


@dataclasses.dataclass(frozen=True)
class VisionTowerConfig:
    """How a ViT is built.

    `rotary`: 2-D rotary positions in each layer, beside the learned ones. `pool`: class (the [CLS]
    token behind a LayerNorm) or map (a learned query attends to all tokens behind a LayerNorm),
    with `pool_heads` and a `pool_mlp_width` of its own; 0: the tower's.
    """

    class_token: bool = True
    patch_bias: bool = False
    norm_pre: bool = True
    rotary: bool = False
    pool: str = CLASS
    pool_heads: int = 0
    pool_mlp_width: int = 0
    projection: str = MATRIX

    def __post_init__(self) -> None:
        _require(self, pool=(CLASS, MAP), projection=(MATRIX, DENSE, NONE))
        for name in ("pool_heads", "pool_mlp_width"):
            if (given := getattr(self, name)) < 0:
                raise ValueError(f"{name} {given}: wanted a whole number from 0 on")
        if self.pool == CLASS and not self.class_token:
            raise ValueError("pool 'class' without class_token: wanted pool='map'")


@dataclasses.dataclass(frozen=True)
class TextTowerConfig:
    """How a caption is read.

    `end`: the id of the token that ends a caption; GREATEST: the greatest id in it. `pool`: end, or
    last (of the padded caption: where padding is read as text). `projection`: none is VideoPrism's.
    """

    causal: bool = True
    end: int = GREATEST
    pool: str = END
    projection: str = MATRIX

    def __post_init__(self) -> None:
        _require(self, pool=(END, LAST), projection=(MATRIX, DENSE, NONE))

    @property
    def cuts_padding(self) -> bool:
        """Whether a caption without its padding has the same embedding.

        Not where a token sees those after it, or the last place is pooled.
        """
        return self.causal and self.pool == END


@dataclasses.dataclass(frozen=True)
class VideoTowerConfig:
    """What VideoPrism adds to a ViT; without `frames` a vision tower takes frames one by one.

    `frames` of a video that positions in time are learned for; `temporal_layers` along time, at
    each patch; `auxiliary_layers` over all tokens of a video. `logit_cap`: what attention's logits
    stay below, in both towers.
    """

    frames: int = 0
    temporal_layers: int = 0
    auxiliary_layers: int = 0
    logit_cap: float = 0.0

    def __post_init__(self) -> None:
        _require(self)


@dataclasses.dataclass(frozen=True)
class Pixels:
    """How a picture becomes an input: resized, centre cropped if `shortest`, normalised.

    `resize`: shortest (its shorter side becomes image_size) or squash (both sides do).
    `antialias`: False only where a picture is squashed bilinearly, as big_vision trained SigLIP.
    """

    mean: tuple[float, float, float] = (0.48145466, 0.4578275, 0.40821073)
    std: tuple[float, float, float] = (0.26862954, 0.26130258, 0.27577711)
    resize: str = SHORTEST
    interpolation: str = BICUBIC
    antialias: bool = True

    def __post_init__(self) -> None:
        _require(self, resize=(SHORTEST, SQUASH), interpolation=(BICUBIC, BILINEAR))
        if not self.antialias and (self.resize, self.interpolation) != (SQUASH, BILINEAR):
            raise ValueError(
                f"antialias False with {self.resize}, {self.interpolation}: wanted {SQUASH}, "
                f"{BILINEAR}"
            )
        for name, least in (("mean", -math.inf), ("std", 0.0)):
            given = getattr(self, name)
            # JSON and ml_collections bring lists.
            if (
                not isinstance(given, tuple | list)
                or len(given) != 3
                or not all(isinstance(x, int | float) and least < x < math.inf for x in given)
            ):
                above = " above 0" if name == "std" else ""
                raise ValueError(f"{name} {given!r:.80}: wanted three numbers{above}")
            object.__setattr__(self, name, tuple(given))


_VIDEOPRISM_VISION = VisionTowerConfig(
    class_token=False, patch_bias=True, norm_pre=False, pool=MAP, projection=NONE
)
_VIDEOPRISM_TEXT = TextTowerConfig(end=1, projection=NONE)


@dataclasses.dataclass(frozen=True)
class Towers:
    """Both towers of a family and what they read.

    `max_logit_scale`: what the learned temperature is cut at; 0: nowhere. `logit_bias`: whether
    logits have a learned bias, as the sigmoid loss wants it.
    """

    vision: VisionTowerConfig = VisionTowerConfig()
    text: TextTowerConfig = TextTowerConfig()
    video: VideoTowerConfig = VideoTowerConfig()
    pixels: Pixels = Pixels()
    tokenizer: str = "clip"
    norm_epsilon: float = 1e-5
    max_logit_scale: float = 100.0
    logit_bias: bool = False

    def __post_init__(self) -> None:
        _require(self)
        own = self.vision, self.text
        if self.video.frames and own != (_VIDEOPRISM_VISION, _VIDEOPRISM_TEXT):
            raise ValueError(
                f"video.frames {self.video.frames} with {self.vision}, {self.text}: wanted "
                f"VideoPrism's, {_VIDEOPRISM_VISION}, {_VIDEOPRISM_TEXT}, or video.frames 0"
            )
        if not self.video.frames and self.text.projection == NONE:
            raise ValueError("text.projection 'none': wanted matrix or dense")

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> "Towers":
        """From the fields of `dataclasses.asdict`; what is missing is as CLIP has it.

        Raises:
          TypeError, ValueError: they are not the fields of a family.
        """
        if not isinstance(fields, Mapping):
            raise TypeError(f"towers {fields!r:.80}: wanted an object")
        kinds = {
            "vision": VisionTowerConfig,
            "text": TextTowerConfig,
            "video": VideoTowerConfig,
            "pixels": Pixels,
        }
        parts = {name: kind(**fields.get(name, {})) for name, kind in kinds.items()}
        return cls(**{**fields, **parts})


def end_of(tokens: Any, end: int) -> Any:
    """The place of the token that ends each caption; the last place if there is none.

    Args:
      tokens: int32 [B, L], of JAX or NumPy. end: its id, or GREATEST.

    Returns:
      int [B], of the same library.
    """
    if end == GREATEST:
        return tokens.argmax(axis=-1)
    is_end = tokens == end
    return is_end.argmax(axis=-1) + (tokens.shape[1] - 1) * ~is_end.any(axis=-1)


_HALF = (0.5, 0.5, 0.5)

CLIP = Towers()

PE_CORE = Towers(
    vision=VisionTowerConfig(rotary=True, pool=MAP, pool_heads=8),
    pixels=Pixels(_HALF, _HALF, SQUASH, BILINEAR),
)

# SigLIP 2 differs in its tokens alone, "gemma".
SIGLIP = Towers(
    vision=VisionTowerConfig(
        class_token=False, patch_bias=True, norm_pre=False, pool=MAP, projection=NONE
    ),
    text=TextTowerConfig(causal=False, end=1, pool=LAST, projection=DENSE),
    pixels=Pixels(_HALF, _HALF, SQUASH, BILINEAR),
    tokenizer="c4_en",
    norm_epsilon=1e-6,
    max_logit_scale=0.0,
    logit_bias=True,
)

# Of 16 frames, as its B is; its L is of 8.
VIDEOPRISM = Towers(
    vision=_VIDEOPRISM_VISION,
    text=_VIDEOPRISM_TEXT,
    video=VideoTowerConfig(frames=16, temporal_layers=4, auxiliary_layers=2, logit_cap=50.0),
    pixels=Pixels((0.0, 0.0, 0.0), (1.0, 1.0, 1.0), SQUASH),
    tokenizer="cc_en",
    norm_epsilon=1e-6,
)
