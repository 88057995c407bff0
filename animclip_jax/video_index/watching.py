"""Keeps an index fresh: brings it up to date whenever the folder has changed."""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn

from animclip_jax.video_index.listing import Listing

# Looks between two tries, at most: of a file that can't be read, or after an error.
MOST_LOOKS = 32


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
        it is called again after 1, 2, 4 looks and so on, up to MOST_LOOKS. A BrokenPipeError ends
        the watch: whoever read what is printed has gone.
      listing: what is in the folder now; raises OSError.
      complain: tells of an error, once while it lasts.
      wait: returns when it is time for the next look.
    """
    tried: Listing | None = None
    now: Listing | None = None
    left = failed = False
    looks, pause, told = 0, 1, ""
    while True:
        try:
            last, now = now, listing()
            looks += 1
            is_due = now != tried or ((left or failed) and looks >= pause)
            if is_due and (now == last or tried is None):
                pause = min(2 * pause, MOST_LOOKS) if now == tried else 1
                looks, failed, tried = 0, True, now
                left = update()
                failed = False
            if not failed:
                told = ""
        except BrokenPipeError:
            raise
        except (OSError, ValueError, RuntimeError) as error:
            if str(error) != told:
                complain(error)
            told = str(error)
        wait()
