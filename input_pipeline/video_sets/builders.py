"""TFDS builders of MSR-VTT, MSVD and VATEX, over the files in `manual_dir`.

Whoever imports this module can `tfds.load("msrvtt/1k-A-9k")`, see docs/data.md. The examples are
those that `animclip prepare` writes; videos that can't be used are in the data set's
quarantine.jsonl.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import tensorflow_datasets as tfds

from animclip_jax import files
from input_pipeline.media import quarantine, workers
from input_pipeline.store import making
from input_pipeline.store import videos as prepare_videos
from input_pipeline.video_sets.collect import collect

VERSION = tfds.core.Version("1.0.0")
LAYOUT = "Put the videos and the annotation files into manual_dir, as docs/data.md lists them."


class _VideoSet(tfds.core.GeneratorBasedBuilder, skip_registration=True):  # type: ignore
    """One example a video: its id, evenly spaced frames as JPEG, and its captions."""

    VERSION = VERSION
    MANUAL_DOWNLOAD_INSTRUCTIONS = LAYOUT

    def _info(self) -> tfds.core.DatasetInfo:
        features = {
            "video_id": tfds.features.Text(),
            "frames": tfds.features.Sequence(
                tfds.features.Image(encoding_format="jpeg"), length=prepare_videos.NUM_FRAMES
            ),
            "captions": tfds.features.Sequence(tfds.features.Text()),
        }
        return self.dataset_info_from_configs(features=tfds.features.FeaturesDict(features))

    def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Any]:
        protocol = [self.builder_config.name] if self.builder_config else []
        collection = collect(self.name, dl_manager.manual_dir, protocol)
        self._bad = dict(collection.missing)
        self._total = len(collection.videos) + len(self._bad)
        self._check_share()
        videos = {video.id: video for video in collection.videos}
        return {
            name.rpartition("-")[2]: self._generate_examples(
                [videos[id]._replace(captions=texts) for id, texts in split.items() if id in videos]
            )
            for name, split in collection.splits.items()
            # The same videos again, as the union of two others.
            if not name.endswith("trainval")
        }

    def _generate_examples(self, videos: list[prepare_videos.Video]) -> Iterator[tuple[str, Any]]:
        settings = prepare_videos.FrameSettings()
        encode = functools.partial(prepare_videos.encode_video, settings=settings)
        results = workers.run_with_second_tries(
            workers.run,
            encode,
            lambda number: videos[number].path,
            range(len(videos)),
            workers.cores(),
            workers.Limits(),
        )
        for number, result in results:
            video = videos[number]
            if isinstance(result, workers.Failure):
                self._bad[video.id] = result.reason
                self._check_share()
            else:
                self._bad.pop(video.id, None)
                example = {"video_id": video.id, "frames": result.frames}
                yield video.id, example | {"captions": video.captions}
        listed = Path(self.data_dir) / quarantine.NAME
        files.write_lines(listed, quarantine.lines(self._bad.items()))

    def _check_share(self) -> None:
        most = making.Effort().max_bad
        quarantine.check_share(self.name, self._bad, self._total, most, "video")


def _configs(*names: str) -> list[tfds.core.BuilderConfig]:
    return [tfds.core.BuilderConfig(name=name, version=VERSION) for name in names]


class Msrvtt(_VideoSet):
    """MSR-VTT by protocol; see video_sets/msrvtt.py."""

    BUILDER_CONFIGS = _configs("1k-A-9k", "1k-A-7k", "full")


class Msvd(_VideoSet):
    """MSVD; see video_sets/msvd.py."""


class Vatex(_VideoSet):
    """VATEX by protocol; see video_sets/vatex.py."""

    BUILDER_CONFIGS = _configs("hgr", "test1k5")
