"""Vector databases that hold published indexes: what a search asks of one, and each that exists."""
