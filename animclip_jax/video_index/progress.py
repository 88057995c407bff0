"""How far an update of an index is, in one line on a terminal."""

from __future__ import annotations

from tqdm import tqdm

# As in "indexing: 12 of 300 files, 1.25 hours of video, 0.40 files/s, 12:00 left".
_LINE = "{desc}: {n_fmt} of {total_fmt} files{postfix}, {rate_noinv_fmt}, {remaining} left"


class Progress:
    """A line on stderr that is written anew, ten times a second at most; none where nobody sees it.

    Time left is that of the files that are left, at the pace of the last ones.
    """

    def __init__(self, files: int):
        self.seconds = 0.0
        self.bar = tqdm(
            total=files,
            desc="indexing",
            unit=" files",
            bar_format=_LINE,
            postfix=self._told,
            disable=None,
        )

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.close()

    def add(self, seconds: float) -> None:
        """A file is done: a video of so many seconds, or 0 of what is none or can't be read."""
        self.seconds += seconds
        self.bar.set_postfix_str(self._told, refresh=False)
        self.bar.update()

    @property
    def _told(self) -> str:
        return f"{self.seconds / 3600:.2f} hours of video"
