"""Prints by how many kB the peak of memory rises as pictures of one long line are fitted."""

import resource

import numpy as np

from input_pipeline.media.picture import fit

strip = np.arange(300_000, dtype=np.uint32).astype(np.uint8)[:, None].repeat(3, axis=1)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for picture in (strip[None], strip[:, None]):
    fitted = fit(picture, 336)
    assert fitted.shape == (336, 336, 3)
    assert abs(int(fitted[168, 168, 0]) - int(strip[150_000, 0])) < 128
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
