"""The API's description as a page: openapi.json in plain HTML."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from animclip_jax.reporting.html import Html, element, join


def api_page(openapi: dict[str, Any]) -> str:
    """openapi: the document. Returns HTML."""
    about = openapi["info"]
    operations = [
        _operation(method, path, operation)
        for path, methods in openapi["paths"].items()
        for method, operation in methods.items()
    ]
    shared = {
        (status, openapi["components"]["responses"][name.rpartition("/")[2]]["description"])
        for methods in openapi["paths"].values()
        for operation in methods.values()
        for status, one in operation["responses"].items()
        if (name := one.get("$ref"))
    }
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width"),
        element("title", about["title"]),
        element("link", rel="icon", href="/icon.svg"),
        element("link", rel="stylesheet", href="/page.css"),
    )
    body = element(
        "main",
        element("h1", about["title"]),
        element("p", about["description"]),
        element("p", "As a document: ", element("a", "openapi.json", href="/openapi.json")),
        *operations,
        element("h2", "Any of them may also answer"),
        _table([(status, "answer", what) for status, what in sorted(shared)]),
        class_="api",
    )
    return f"<!doctype html>{element('html', head, element('body', body), lang='en')}"


def _operation(method: str, path: str, operation: dict[str, Any]) -> Html:
    parts = [element("h2", element("code", f"{method.upper()} {path}"))]
    parts.append(element("p", operation["summary"]))
    rows = [(one["name"], one["in"], one["description"]) for one in operation.get("parameters", [])]
    if "requestBody" in operation:
        body = operation["requestBody"]
        rows.append((", ".join(body["content"]), "body", body["description"]))
    rows += [
        (status, "answer", one["description"])
        for status, one in operation["responses"].items()
        if "$ref" not in one
    ]
    return element("section", *parts, _table(rows))


def _table(rows: Sequence[tuple[str, ...]]) -> Html:
    lines = join(*(element("tr", *(element("td", cell) for cell in row)) for row in rows))
    return element("table", element("tbody", lines))
