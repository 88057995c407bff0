"""The director: (seed, position) -> where the camera looks in each frame of a clip (TensorFlow).

Each shooting component is one function from its own random draws and its part of the config to its
part of the plan, for a whole batch at once: draws float32 [B, SHOTS, DRAWS] in [0, 1). `direct`
puts the parts together. A component more is a config class, a function and a name in `draws.py`.

Only + - * / floor and comparisons, which round alike wherever a clip stands in a batch:
TensorFlow's exp and its like do not, so that a plan would depend on how many processes share the
batch.
"""

from input_pipeline.director.draws import noise, stream_key
from input_pipeline.director.plan import direct, two_scenes

__all__ = ["direct", "noise", "stream_key", "two_scenes"]
