"""`read_sources.py CACHE SOURCE...` prints each example's grey level, in both stages."""

import itertools
import json
import sys

from animclip_jax.animation.batch import Filmed
from animclip_jax.animation.config import AnimationConfig
from input_pipeline.batches import eval_batches, train_batches
from input_pipeline.examples import BatchConfig
from input_pipeline.sources.opening import open_source

config = BatchConfig(AnimationConfig(num_frames=2, image_size=16), 2, seed=0, canvas_size=32)
found = {}
for source in sys.argv[2:]:
    examples = open_source(source, sys.argv[1])
    levels = {}
    run = train_batches(examples, config, start_step=999_999)
    for batch in itertools.islice(run, 3):
        assert isinstance(batch, Filmed)
        for index, canvas in zip(batch.index, batch.canvas, strict=True):
            levels[examples.ids[index]] = float(canvas[:8, :8].mean())
    (shown,) = eval_batches(examples, num_frames=1, image_size=8, batch_size=6)
    found[source] = [levels, shown.frames.mean(axis=(1, 2, 3, 4)).tolist()[: len(examples.ids)]]
print(json.dumps(found))
