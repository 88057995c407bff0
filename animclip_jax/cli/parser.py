"""How every command reads its line and shows its help: one dialect, for argparse and for absl.

Options are written with dashes, as in --dry-run; underscores are accepted, too.
"""

from __future__ import annotations

import argparse
import re
import sys
import textwrap
from collections.abc import Callable, Iterable, Sequence
from typing import Any

WIDTH, LEFT = 100, 24


def dashed(name: str) -> str:
    """The name of an option as it is written and shown."""
    return name.replace("_", "-")


def page(program: str, needed: Iterable[str], what: str, rows: Iterable[tuple[str, str]]) -> str:
    """The help of a command.

    Args:
      program: as in "animclip train".
      needed: what must stand on the line, as in "--out=PATH".
      what: what the command does.
      rows: each option, and what it does.
    """
    lines = [f"usage: {' '.join([program, *needed])} ...", ""]
    for paragraph in what.splitlines():
        lines += [paragraph] if paragraph.startswith(" ") else textwrap.wrap(paragraph, WIDTH)
    lines.append("")
    for left, right in rows:
        wrapped = textwrap.wrap(right, WIDTH - LEFT - 2, break_on_hyphens=False) or [""]
        if len(left) >= LEFT - 1:
            lines += [f"  {left}", f"  {'':<{LEFT}}{wrapped[0]}"]
        else:
            lines.append(f"  {left:<{LEFT}}{wrapped[0]}")
        lines += [f"  {'':<{LEFT}}{rest}" for rest in wrapped[1:]]
    return "\n".join(lines) + "\n"


def written(
    arguments: Sequence[str], is_option: Callable[[str], bool], spelt: Callable[[str], str]
) -> list[str]:
    """The arguments with every option's name as the parser spells it; values stay.

    Args:
      is_option: whether a name, as the parser spells it, is an option.
      spelt: a name as the parser spells it.
    """
    found: list[str] = []
    for index, argument in enumerate(arguments):
        if argument == "--":
            return [*found, *arguments[index:]]
        match = re.fullmatch(r"(--?)([\w-]+)(=.*)?", argument, re.DOTALL)
        if match and is_option(name := spelt(match[2])):
            argument = f"{match[1]}{name}{match[3] or ''}"
        found.append(argument)
    return found


class Parser(argparse.ArgumentParser):
    """An argparse parser in this dialect."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As argparse's, with underscores in the names of options read as dashes."""
        given = sys.argv[1:] if args is None else args
        names = self._option_string_actions
        return super().parse_known_args(
            written(given, lambda name: f"--{name}" in names, dashed), namespace
        )

    def format_help(self) -> str:
        """The help in the style of `page`."""
        rows, needed = [], []
        for action in self._actions:
            if action.dest == "help":
                continue
            left = _left(action)
            rows.append((left, _right(action)))
            if action.required:
                needed.append(left)
        return page(self.prog, needed, self.description or "", rows)


# The types of values, by the function that reads one.
_KINDS = {
    "path": "PATH",
    "file": "PATH",
    "home": "PATH",
    "int": "INT",
    "whole": "INT",
    "float": "FLOAT",
}


def _left(action: argparse.Action) -> str:
    if not action.option_strings:
        return action.dest.upper() + (" ..." if action.nargs == "+" else "")
    if isinstance(action, argparse.BooleanOptionalAction):
        return action.option_strings[0].replace("--", "--[no-]")
    name = action.option_strings[-1]
    if action.nargs == 0:
        return name
    kind = (
        "NAME"
        if action.choices
        else action.metavar or _KINDS.get(getattr(action.type, "__name__", ""), "STRING")
    )
    return f"{name}{'=' if name.startswith('--') else ' '}{kind}"


def _right(action: argparse.Action) -> str:
    right = action.help or ""
    if action.choices:
        right += f": {', '.join(action.choices)}"
    if action.default not in (None, [], argparse.SUPPRESS) and action.nargs != 0:
        right += f" (default {action.default})"
    return right
