"""One file per experiment: `get_config()` returns all of its settings as an ml_collections dict."""
