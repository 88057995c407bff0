"""Words in what commands print."""


def count(number: int, noun: str) -> str:
    """As in "1 video" and "1,200 videos"."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
