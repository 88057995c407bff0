"""What Python programs call: a trained model, and one picture filmed.

docs/python.md shows it. The package's `__init__` gives these names without importing JAX.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from flax import traverse_util

from animclip_jax import sharding
from animclip_jax.animation.config import AnimationConfig
from animclip_jax.animation.render import render_frames
from animclip_jax.models import parameters
from animclip_jax.models.clip import ClipConfig
from animclip_jax.models.reranker import RerankerConfig
from animclip_jax.models.retriever import RetrieverConfig, VideoFeatures
from animclip_jax.retrieval.encode import Encoder
from animclip_jax.retrieval.rerank import Captions, PairScorer, encode_captions
from animclip_jax.weights import folder, manifest, published
from input_pipeline.media import picture
from input_pipeline.media.picture import fit, short_side
from input_pipeline.tokenizers.opening import Tokenizer, open_tokenizer

Video = str | Path | np.ndarray

DRAWN_ONLY = "this model was trained on drawn scenes alone: what it finds in other videos is noise"
# Of a video, for weights that were made for pictures; VideoPrism's say how many they take.
CONVERTED_FRAMES = 12
TEXTS_AT_ONCE, VIDEOS_AT_ONCE = 64, 8
# What stands where converted weights have no re-ranker: nearly nothing, and all of it zero.
_NO_RERANKER = RerankerConfig(layers=1, width=1, heads=1, mlp_width=1, code_width=1, tokens="cls")


@dataclasses.dataclass(frozen=True)
class Model:
    """A model to search with.

    config: what the encoder computes. reranks: False for converted CLIP weights, whose fused score
    is the coarse one. manifest: the contents of manifest.json; for converted weights the checksums
    of the files alone. fingerprint: SHA-256 of the configuration and the parameters, the same
    whenever and wherever they are exported.
    """

    encoder: Encoder
    config: RetrieverConfig
    reranks: bool
    manifest: dict[str, Any]
    fingerprint: str

    @property
    def drawn_only(self) -> bool:
        """Whether it has seen the drawn world alone, by its manifest."""
        seen = self.manifest.get("origin", {}).get("trained_on", [])
        return bool(seen) and all(one.startswith("drawn:") for one in seen)

    @functools.cached_property
    def tokenizer(self) -> Tokenizer:
        """What makes tokens of sentences; opened once, since large vocabularies take seconds.

        Raises:
          FileNotFoundError, ValueError: its vocabulary is not there, or is not the model's.
        """
        return open_tokenizer(*self.config.clip.reading)

    def encode_text(self, texts: str | Sequence[str]) -> np.ndarray:
        """Embeddings of sentences: float32 [N, E], unit length; of one string, N is 1.

        `encode_text(...) @ encode_video(...).embedding.T` are cosine similarities.

        Raises:
          ValueError: there is no sentence.
        """
        return self._captions([texts] if isinstance(texts, str) else list(texts)).embedding

    def encode_video(self, videos: Video | Sequence[Video]) -> VideoFeatures:
        """Features of videos, to compare with `encode_text` and for `rerank`.

        Args:
          videos: one or a list of: the path of a video; frames uint8 [T, H, W, 3], RGB, of any T
            and size, of which those that the model looks at are taken evenly, and cropped to the
            centre (CLIP) or squashed (the other families).
        Returns:
          NumPy arrays: embedding float32 [N, E], unit length, and code, which the re-ranker reads.
        Raises:
          FileNotFoundError: there is no such file. ValueError: it can't be decoded, the frames have
            another shape or dtype, or there is no video.
        """
        given = [videos] if isinstance(videos, str | Path | np.ndarray) else list(videos)
        if not given:
            raise ValueError("no videos: wanted one at least")
        at_once = -(-VIDEOS_AT_ONCE // self.encoder.num_parts) * self.encoder.num_parts
        parts = []
        for start in range(0, len(given), at_once):
            frames = np.stack([self._frames(one) for one in given[start : start + at_once]])
            size = len(frames)
            whole = -(-size // self.encoder.num_parts) * self.encoder.num_parts
            frames = np.concatenate([frames, np.repeat(frames[:1], whole - size, axis=0)])
            features = self.encoder.encode_video(frames, whole)
            parts.append(jax.tree.map(lambda x, size=size: x[:size], features))
        return jax.tree.map(lambda *some: np.concatenate(some), *parts)

    def rerank(
        self, query: str, videos: VideoFeatures, candidates: Sequence[int] | None = None
    ) -> np.ndarray:
        """The re-ranker's scores of one sentence and K videos: float32 [K], higher is better.

        Args:
          videos: of `encode_video`, N of them.
          candidates: int [K], the numbers of those to score; None scores all.
        Raises:
          ValueError: the model has no re-ranker. IndexError: there is no video of such a number.
        """
        if not self.reranks:
            raise ValueError("this model has no re-ranker: compare embeddings instead")
        count = len(videos.embedding)
        chosen = np.arange(count) if candidates is None else np.asarray(candidates, np.int64)
        if chosen.ndim != 1 or np.any((chosen < 0) | (chosen >= count)):
            raise IndexError(f"candidates {chosen.tolist()}: wanted numbers from 0 to {count - 1}")
        if not len(chosen):
            return np.zeros(0, np.float32)
        score = PairScorer(self.encoder, self._captions([query]), videos)
        return score(np.zeros(len(chosen), np.int64), chosen)

    def _captions(self, texts: list[str]) -> Captions:
        if not texts:
            raise ValueError("no sentences: wanted one at least")
        tokens = self.tokenizer(texts)
        parts = self.encoder.num_parts
        at_once = min(TEXTS_AT_ONCE, 1 << (len(texts) - 1).bit_length())
        return encode_captions(self.encoder, tokens, -(-at_once // parts) * parts)

    def _frames(self, video: Video) -> np.ndarray:
        """What the model looks at: uint8 [T, image_size, image_size, 3]."""
        count = self.config.num_frames
        if not isinstance(video, np.ndarray):
            # Here, since PyAV takes a while to load and no sentence needs it.
            from input_pipeline.media.video import read_frames

            frames = read_frames(video, count, short_side(self.config.clip.image_size))
        elif video.ndim == 4 and video.shape[3] == 3 and video.size and video.dtype == np.uint8:
            # The middle of each of `count` equal parts, as of a file.
            frames = video[(2 * np.arange(count) + 1) * len(video) // (2 * count)]
        else:
            raise ValueError(f"frames {video.dtype} {video.shape}: wanted uint8 [T, H, W, 3]")
        return np.stack([fit(frame, *self.config.clip.fitted) for frame in frames])


def find(model: str | Path) -> Path:
    """The folder of a model, by its path or by its name on the Hugging Face Hub.

    A model of the Hub is downloaded and converted on first use. Raises as `load`.
    """
    return published.find(model, lambda config: open_tokenizer(*config.reading))


def load(model: str | Path, devices: Sequence[jax.Device] | None = None) -> Model:
    """Reads a model, and puts it onto the devices: all of this process.

    Args:
      model: a folder of `animclip export` or of `animclip convert`, or the name of a model on the
        Hugging Face Hub, such as "openai/clip-vit-base-patch32", which is downloaded on first use.
    Raises:
      FileNotFoundError: the folder is not there, or a file of it is missing.
      ValueError: a file has changed, or is of another version or format; names the file. Or the
        model of that name can't be read.
      OSError: it can't be downloaded.
    """
    directory = find(model)
    found = folder.load(directory)
    reranks = isinstance(found[1], RetrieverConfig)
    if reranks or (directory / manifest.MANIFEST).is_file():
        document = manifest.read(directory, folder.KIND)
        if left := {folder.CONFIG, folder.TENSORS} - document["files"].keys():
            path = directory / manifest.MANIFEST
            raise ValueError(f"{path}: lists no {min(left)} among its files; {manifest.AGAIN}")
    else:
        document = {"files": manifest.describe(directory)}
    config = whole_config(found[1])
    encoder = make_encoder(whole_params(*found), config, devices)
    return Model(encoder, config, reranks, document, _fingerprint(document))


def animate(
    image: str | Path | np.ndarray,
    preset: str = "full",
    seed: int = 0,
    num_frames: int = 12,
    image_size: int = 224,
) -> np.ndarray:
    """Films a picture as training does: frames uint8 [num_frames, image_size, image_size, 3], RGB.

    This alone imports TensorFlow, which draws the camera's plan.

    Args:
      image: the path of a picture, or its pixels uint8 [H, W, 3].
      preset: "repeat", "still", "zoom", "camera", "shots", "full" or "things".
      seed: another one films another clip of the same picture.
    Raises:
      FileNotFoundError: there is no such file. ValueError: it can't be decoded, the pixels have
        another shape or dtype, or there is no such preset.
    """
    from input_pipeline.filming.canvas import film_pictures

    config = AnimationConfig(preset, num_frames, image_size)
    if not isinstance(image, np.ndarray):
        image = picture.read(Path(image))
    if image.ndim != 3 or image.shape[2] != 3 or not image.size or image.dtype != np.uint8:
        raise ValueError(f"a picture {image.dtype} {image.shape}: wanted uint8 [H, W, 3]")
    filmed = film_pictures([image], config, seed, 2 * image_size)
    return render_frames(filmed.canvas, filmed.plan, image_size)


def whole_config(
    config: ClipConfig | RetrieverConfig, num_frames: int | None = None
) -> RetrieverConfig:
    """A model that `Encoder` takes: for dual encoders alone one whose re-ranker scores zero.

    Args:
      num_frames: of a video, for dual encoders alone; None: as many as the towers were made for.
    """
    if isinstance(config, RetrieverConfig):
        return config
    frames = num_frames or config.towers.video.frames or CONVERTED_FRAMES
    return RetrieverConfig(config, _NO_RERANKER, frames)


def whole_params(
    params: Mapping[str, Any],
    config: ClipConfig | RetrieverConfig,
    num_frames: int | None = None,
) -> dict[str, Any]:
    """The parameters of `whole_config`'s model, by slash-joined path as those given."""
    if isinstance(config, RetrieverConfig):
        return dict(params)
    found = {f"clip/{name}": value for name, value in params.items()}
    for name, shape in parameters.shapes(whole_config(config, num_frames)).items():
        if name not in found:
            found[name] = np.zeros(shape, np.float32)
    return found


def make_encoder(
    params: dict[str, np.ndarray],
    config: RetrieverConfig,
    devices: Sequence[jax.Device] | None = None,
) -> Encoder:
    """The model's functions, each device holding all parameters; as `load` for the devices.

    Those of the vision tower, most of them, are put there when it is first asked. On a CPU the
    layers of the text tower are kept apart (`Encoder`).
    """
    mesh = sharding.make_mesh(
        sharding.MeshConfig(data=-1, fsdp=1), jax.local_devices() if devices is None else devices
    )
    on_host = ["clip/vision/"]
    if mesh.devices.flat[0].platform == "cpu":
        on_host.append("clip/text/transformer/blocks/")
    place = sharding.replicated(mesh)
    placed = {
        name: value if name.startswith(tuple(on_host)) else jax.device_put(value, place)
        for name, value in params.items()
    }
    tree = traverse_util.unflatten_dict(placed, sep="/")
    return Encoder(sharding.batch_sharding(mesh), parameters.graph_definition(config), tree)


def _fingerprint(document: dict[str, Any]) -> str:
    files = [document["files"][name]["sha256"] for name in (folder.CONFIG, folder.TENSORS)]
    return hashlib.sha256(" ".join(files).encode()).hexdigest()
