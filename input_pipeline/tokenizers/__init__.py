"""How captions become tokens, by family; these names need no tokenizer, whose packages are slow."""

CLIP = "clip"
CLIP_VOCAB_SIZE = 49408
