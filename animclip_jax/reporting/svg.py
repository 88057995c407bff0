"""SVG elements; text that is not marked as markup is escaped, so nothing can forget it."""

from markupsafe import Markup


def element(tag: str, *children: str, **attributes: str | float) -> Markup:
    """An element; `class_` and `stroke_width` stand for the attributes class and stroke-width.

    Numbers keep two decimals. An attribute that is an empty string is left out.
    """
    opened = Markup(tag)
    for name, value in attributes.items():
        text = value if isinstance(value, str) else f"{value:.2f}".rstrip("0").rstrip(".")
        if text:
            opened += Markup(' {}="{}"').format(name.rstrip("_").replace("_", "-"), text)
    return Markup("<{}>{}</{}>").format(opened, Markup("").join(children), tag)
