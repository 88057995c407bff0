"""HTML and SVG elements; text that is not marked as HTML is escaped, so nothing can forget it."""

import html


class Html(str):
    """Text that is HTML already."""


_VOID = frozenset({"meta", "img", "br", "link"})


def element(tag: str, *children: str, **attributes: str | float) -> Html:
    """An element; `class_` and `stroke_width` stand for the attributes class and stroke-width.

    Numbers keep two decimals. An attribute that is an empty string is left out.
    """
    opened = tag
    for name, value in attributes.items():
        text = value if isinstance(value, str) else f"{value:.2f}".rstrip("0").rstrip(".")
        if text:
            opened += f' {name.rstrip("_").replace("_", "-")}="{html.escape(text)}"'
    if tag in _VOID:
        return Html(f"<{opened}>")
    return Html(f"<{opened}>{join(*children)}</{tag}>")


def join(*children: str) -> Html:
    """Elements and texts, one after the other."""
    return Html("".join(c if isinstance(c, Html) else html.escape(c) for c in children))
