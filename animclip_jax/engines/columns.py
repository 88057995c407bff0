"""Segments as columns of Arrow, for LanceDB and for files of Parquet."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa

from animclip_jax.engines.engine import CODE, EMBEDDING, SAID, THUMBNAIL, Segments
from animclip_jax.words import readable

KEY = "key"


def schema(width: int, has_codes: bool, about: Mapping[str, str] | None = None) -> pa.Schema:
    """Columns of segments, whose vectors are of that many numbers.

    about: what to say of the table, by name.
    """
    codes = [(CODE, pa.large_binary())] if has_codes else []
    return pa.schema(
        [
            (KEY, pa.int64()),
            ("video", pa.string()),
            ("start", pa.float64()),
            ("end", pa.float64()),
            (EMBEDDING, pa.list_(pa.float32(), width)),
            *codes,
            (THUMBNAIL, pa.large_binary()),
            (SAID, pa.string()),
        ],
        about,
    )


def table(first: int, segments: Segments) -> pa.Table:
    """Segments by those columns; their keys begin with `first`."""
    count, width = segments.embedding.shape
    numbers = pa.array(np.ascontiguousarray(segments.embedding, np.float32).reshape(-1))
    columns = {
        KEY: np.arange(first, first + count),
        "video": list(map(readable, segments.videos)),
        "start": np.ascontiguousarray(segments.times[:, 0]),
        "end": np.ascontiguousarray(segments.times[:, 1]),
        EMBEDDING: pa.FixedSizeListArray.from_arrays(numbers, width),
        THUMBNAIL: list(segments.thumbnail),
        SAID: list(segments.said),
    }
    if segments.code is not None:
        columns[CODE] = list(segments.code)
    return pa.table(columns, schema=schema(width, segments.code is not None))
