"""An "Args:" section names the arguments that exist, and no others."""

import ast
import re

import pytest

from tests.repository import ROOT

FILES = [
    path
    for room in ("animclip_jax", "input_pipeline", "configs", "benchmarks")
    for path in sorted((ROOT / room).rglob("*.py"))
]
FUNCTION = (ast.FunctionDef, ast.AsyncFunctionDef)
# "name: what it is." or "first, last: what they are.", at the start of a line or of a sentence.
NAMED = re.compile(r"(?:^\s*|\. )(\w+(?:, \w+)*):", re.MULTILINE)


def described(docstring):
    """The names in the section "Args:", in order."""
    _, found, section = docstring.partition("Args:\n")
    section = re.split(r"^(?:Raises|Returns|Yields):", section, flags=re.MULTILINE)[0]
    return [name for group in NAMED.findall(section if found else "") for name in group.split(", ")]


def arguments(node):
    """Of a function; of a class those that it is made with."""
    if isinstance(node, ast.ClassDef):
        fields = {ast.unparse(one.target) for one in node.body if isinstance(one, ast.AnnAssign)}
        made = [one for one in node.body if isinstance(one, FUNCTION) and one.name == "__init__"]
        return fields.union(*map(arguments, made))
    given = node.args
    every = [*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg]
    return {one.arg for one in every if one is not None}


def wrong(tree):
    """(function, name) of what is described and isn't there."""
    for node in ast.walk(tree):
        if isinstance(node, (*FUNCTION, ast.ClassDef)):
            there = arguments(node)
            for name in described(ast.get_docstring(node) or ""):
                if name not in there:
                    yield node.name, name


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_only_arguments_that_exist_are_described(path):
    assert list(wrong(ast.parse(path.read_text()))) == []


def test_an_argument_that_does_not_exist_is_found():
    text = 'def f(a, *, b):\n    """F.\n\n    Args:\n      a, b: 1. c: 2.\n      d: 3: 4.\n    """'
    assert list(wrong(ast.parse(text))) == [("f", "c"), ("f", "d")]
