"""The formats of `animclip export`, and how what was written is held against the live model."""
