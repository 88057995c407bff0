"""How the arrays that were found differ from those that were wanted, in words."""

from collections.abc import Mapping

Shapes = Mapping[str, tuple[int, ...]]  # by the array's name


def differences(found: Shapes, wanted: Shapes) -> list[str]:
    """A line for each array that is missing, not expected or of another shape; [] if they agree."""
    lines = [f"missing: {name} {shape}" for name, shape in wanted.items() if name not in found]
    lines += [
        f"not expected: {name} {shape}"
        for name, shape in sorted(found.items())
        if name not in wanted
    ]
    lines += [
        f"wrong shape: {name} is {found[name]}, wanted {shape}"
        for name, shape in wanted.items()
        if name in found and found[name] != shape
    ]
    return lines
