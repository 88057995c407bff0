"""`few_files.py ARGUMENT...` is `keeps_each.py` where no more than 128 files may be open."""

import resource
import sys

from animclip_jax import index
from animclip_jax.video_index import embedding

if __name__ == "__main__":
    embedding.FLUSH_SECONDS = 0.0
    resource.setrlimit(resource.RLIMIT_NOFILE, (128, 128))
    sys.exit(index.main(sys.argv[1:]))
