"""Keeps an index fresh: brings it up to date whenever the folder has changed."""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn

from animclip_jax.video_index.listing import Listing


def watch(
    update: Callable[[], bool],
    listing: Callable[[], Listing],
    complain: Callable[[Exception], None],
    wait: Callable[[], None],
) -> NoReturn:
    """Calls `update` at first, and whenever the folder has changed and is quiet again.

    The folder is looked at again and again: disks of other machines don't tell of changes. A file
    that is still being copied changes from look to look, and is waited for.

    Args:
      update: brings the index up to date, and says whether files were left that can be tried again;
        raises OSError, ValueError or RuntimeError where it can't. Then, and where some were left,
        it is called again at the next look.
      listing: what is in the folder now; raises OSError.
      complain: tells of an error, once while it lasts.
      wait: returns when it is time for the next look.
    """
    done: Listing | None = None
    last: Listing | None = None
    left, told = False, ""
    while True:
        try:
            now = listing()
            if (now != done or left) and (now == last or done is None):
                left = update()
                done = now
            last, told = now, ""
        except (OSError, ValueError, RuntimeError) as error:
            if str(error) != told:
                complain(error)
            told = str(error)
        wait()
