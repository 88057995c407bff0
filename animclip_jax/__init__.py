"""AnimCLIP-JAX: pictures filmed into clips, CLIP trained on them, and the videos it then finds."""

import os

# Runs before JAX or TensorFlow loads: both would print a page of start-up notes into every command.
# TensorFlow's note on oneDNN obeys no log level. Without oneDNN its results also stop depending on
# the number of threads, and decoding and cropping pictures never used it.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
