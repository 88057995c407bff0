"""`keeps_each.py ARGUMENT...` is `animclip index` that keeps each video as soon as it is embedded.

What the command keeps every half minute is then there to be found by a test that kills it.
"""

import sys

from animclip_jax import index
from animclip_jax.video_index import embedding

if __name__ == "__main__":
    embedding.FLUSH_SECONDS = 0.0
    sys.exit(index.main(sys.argv[1:]))
