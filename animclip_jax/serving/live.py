"""A server that takes up its index when that has changed, without a restart."""

from __future__ import annotations

import sys
import threading

from animclip_jax.serving.service import Service
from animclip_jax.video_index.searcher import Searcher
from animclip_jax.words import holdings

# Between looks at the catalogue.
EVERY_SECONDS = 2.0


class Live(threading.Thread):
    """Opens an index that has changed beside the old one, and exchanges them when it is ready.

    A request that is under way keeps the searcher that it began with. If a new index
    can't be opened, stderr and the status page say so; the old one stays.
    """

    def __init__(self, service: Service, num_candidates: int):
        super().__init__(name="live", daemon=True)
        self.service, self.num_candidates = service, num_candidates
        self.seen = service.searcher.index.state
        self.ended = threading.Event()

    def run(self) -> None:
        """Looks again and again, until `ended` is set."""
        while not self.ended.wait(EVERY_SECONDS):
            self.look()

    def look(self) -> None:
        """Takes up the index if its catalogue is another one than at the last look."""
        before = self.service.searcher
        state = before.index.newest_state()
        if state is None or state == self.seen:
            return
        self.seen = state
        try:
            searcher = Searcher(before.model, before.index.reopened(), self.num_candidates)
            # Programs for another number of segments are compiled before anyone waits for them.
            searcher.warm_up()
        except (OSError, ValueError) as error:
            self.service.problem = str(error)
            print(f"animclip serve: the index changed, and is not used: {error}", file=sys.stderr)
            return
        self.service.searcher, self.service.problem = searcher, None
        index = searcher.index
        print(f"the index changed: {holdings(*index.catalogue.counts, len(index))}", flush=True)
