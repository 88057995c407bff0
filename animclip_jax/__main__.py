"""`python -m animclip_jax VERB ...` is `animclip VERB ...`."""

import sys

from animclip_jax.cli.flags import main

if __name__ == "__main__":
    sys.exit(main())
