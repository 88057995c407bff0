"""The engine of a place, whose library is imported when it is needed."""

from animclip_jax import words
from animclip_jax.engines.engine import Engine, EngineError
from animclip_jax.engines.place import LANCEDB, PARQUET, Place


def connect(place: Place) -> Engine:
    """Opens the engine of a place, which may hold nothing yet.

    Raises EngineError where it can't be reached or used, or its library is not installed.
    """
    if place.engine == PARQUET:
        raise EngineError(f"{place}: is for other programs; search lancedb:, qdrant: or a folder")
    try:
        if place.engine == LANCEDB:
            from animclip_jax.engines.lance import Lance

            return Lance(place)
        from animclip_jax.engines.qdrant import Qdrant

        return Qdrant(place)
    except ImportError as error:
        raise EngineError(f"{place}: {error}: {words.installs(place.engine)}") from error
