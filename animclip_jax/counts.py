"""Whole numbers of a configuration that have a least value."""

from collections.abc import Mapping


def require(least: int, settings: Mapping[str, int]) -> None:
    """Raises ValueError, which names the setting, where one of them is less."""
    for name, given in settings.items():
        if given < least:
            raise ValueError(f"{name} {given}: wanted {least} or more")
