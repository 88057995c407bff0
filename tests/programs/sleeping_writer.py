"""`sleeping_writer.py FOLDER` writes half of a new folder, says so, and sleeps."""

import sys
import time
from pathlib import Path

from animclip_jax.files import new_folder

with new_folder(Path(sys.argv[1])) as temporary:
    (temporary / "half").mkdir()
    (temporary / "half" / "file").write_text("x")
    print("writing", flush=True)
    time.sleep(60)
