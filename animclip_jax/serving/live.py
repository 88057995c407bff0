"""A server that takes up its index when that has changed, without a restart."""

from __future__ import annotations

import contextlib
import sys
import threading
from typing import TextIO

from animclip_jax.serving.service import Service
from animclip_jax.video_index.searcher import Searcher
from animclip_jax.video_index.watching import MOST_LOOKS
from animclip_jax.words import holdings

# Between looks at the catalogue.
EVERY_SECONDS = 2.0


class Live(threading.Thread):
    """Opens an index that has changed beside the old one, and exchanges them when it is ready.

    A request that is under way keeps the searcher that it began with. If a new index
    can't be opened, stderr and the status page say so; the old one stays. It is tried again after
    1, 2, 4 looks and so on, up to MOST_LOOKS: memory may have been short for a moment.
    """

    def __init__(self, service: Service, num_candidates: int):
        super().__init__(name="live", daemon=True)
        self.service, self.num_candidates = service, num_candidates
        self.seen = service.searcher.index.state
        self.looks, self.pause = 0, 1  # since the last try, and until the next after an error
        self.ended = threading.Event()

    def run(self) -> None:
        """Looks again and again, until `ended` is set."""
        while not self.ended.wait(EVERY_SECONDS):
            self.look()

    def look(self) -> None:
        """Takes up the index if its catalogue is another one than at the last try.

        Also if that failed, and it is time to try again.
        """
        self.looks += 1
        try:
            state = self.service.searcher.index.newest_state()
            failed = self.service.problem is not None
            if state is None or state == self.seen and not (failed and self.looks >= self.pause):
                return
            self.pause = min(2 * self.pause, MOST_LOOKS) if state == self.seen else 1
            self.looks, self.seen = 0, state
            self._take_up()
        # Whatever it is, such as no room on a GPU: this thread goes on, and the status page tells.
        except Exception as error:
            named = isinstance(error, OSError | ValueError)
            problem = str(error) if named else f"{type(error).__name__}: {error}"
            if problem != self.service.problem:
                _say(f"animclip serve: the index changed, and is not used: {problem}", sys.stderr)
            self.service.problem = problem

    def _take_up(self) -> None:
        before = self.service.searcher
        searcher = Searcher(before.model, before.index.reopened(), self.num_candidates)
        # Programs for another number of segments are compiled before anyone waits for them.
        searcher.warm_up()
        self.service.searcher, self.service.problem = searcher, None
        index = searcher.index
        _say(f"the index changed: {holdings(*index.catalogue.counts, len(index))}", sys.stdout)


def _say(text: str, file: TextIO) -> None:
    """Prints a line; without, where whoever read them has gone."""
    with contextlib.suppress(OSError, ValueError):
        print(text, file=file, flush=True)
