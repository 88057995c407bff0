"""The drawn world: drawn stills and videos with captions, so that everything runs offline."""
