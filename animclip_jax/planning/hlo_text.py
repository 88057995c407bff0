"""The text of a compiled program, taken apart: its computations, instructions and their parts.

Formats: XLA's hlo_parser.cc.
"""

import math
import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np


class Array(NamedTuple):
    """One array of a shape; `in_hbm` is False for what is kept in a TPU's on-chip memory."""

    dtype: str
    dims: tuple[int, ...]
    in_hbm: bool

    @property
    def bytes(self) -> int:
        bits = 8 if self.dtype == "pred" else int((re.findall(r"\d+", self.dtype) or ["0"])[0])
        return math.ceil(math.prod(self.dims) * bits / 8)


class Instruction(NamedTuple):
    """`%name = shape opcode(operands), rest`."""

    name: str
    shape: list[Array]
    opcode: str
    operands: list[str]
    rest: str


def parse(text: str) -> tuple[dict[str, list[Instruction]], str]:
    """An optimised module -> the instructions of each computation, its root last; the entry."""
    found: dict[str, list[Instruction]] = {}
    entry = ""
    for name, is_entry, lines in _computations(text):
        found[name] = [one for one in map(_instruction, lines) if one is not None]
        entry = name if is_entry else entry
    return found, entry


def device_group(rest: str) -> tuple[int, ...]:
    """The devices that device 0 communicates with, itself included; () where that is not said."""
    groups = device_groups(rest)
    return next((group for group in groups if 0 in group), (0,) if groups else ())


def device_groups(rest: str) -> list[tuple[int, ...]]:
    """The groups of devices that communicate; none where that is not said."""
    if found := re.search(r"replica_groups=\{\{(.*?)\}\}", rest):
        return [tuple(map(int, group.split(","))) for group in found[1].split("},{")]
    if found := re.search(r"replica_groups=(\[[\d,]+\])<=(\[[\d,]+\])(?:T\(([\d,]+)\))?", rest):
        return [tuple(g) for g in _iota(found[2], found[3]).reshape(_ints(found[1])).tolist()]
    if found := re.search(r"replica_groups=mesh\[(.*?)\](.*?) \{(.*?)\}", rest):
        axes = [(name, int(size)) for name, size in re.findall(r"'(\w+)'=(\d+)", found[1])]
        order = re.search(r"device_ids=\((\[[\d,]+\])(?:T\(([\d,]+)\))?\)", found[2])
        sizes = tuple(size for _, size in axes)
        devices = _iota(order[1], order[2]) if order else np.arange(math.prod(sizes))
        inner = [i for i, (name, _) in enumerate(axes) if f"'{name}'" in found[3]]
        ends = range(-len(inner), 0)
        moved = np.moveaxis(devices.reshape(sizes), inner, list(ends))
        return [tuple(g) for g in moved.reshape(-1, math.prod(sizes[i] for i in inner)).tolist()]
    if found := re.search(r"source_target_pairs=\{\{(.*?)\}\}", rest):
        return _connected(re.findall(r"(\d+),(\d+)", found[1]))
    return []


def _connected(pairs: Iterable[tuple[str, str]]) -> list[tuple[int, ...]]:
    groups: list[set[int]] = []
    for pair in pairs:
        joined = set(map(int, pair))
        apart = [group for group in groups if not group & joined]
        groups = [*apart, joined.union(*(group for group in groups if group & joined))]
    return [tuple(sorted(group)) for group in groups]


def _iota(dims: str, permutation: str | None) -> np.ndarray:
    devices = np.arange(math.prod(_ints(dims))).reshape(_ints(dims))
    return devices.transpose(_ints(permutation)) if permutation else devices


def _ints(text: str) -> tuple[int, ...]:
    return tuple(map(int, text.strip("[]").split(",")))


def numbers(rest: str, name: str) -> tuple[int, ...]:
    """Of an attribute such as `lhs_contracting_dims={1}`; () where there is none."""
    found = re.search(rf"{name}=\{{([\d,]*)\}}", rest)
    return tuple(map(int, found[1].split(","))) if found and found[1] else ()


def attribute(rest: str, name: str) -> str:
    """The name of what an attribute such as `body=%loop` points at."""
    found = re.search(rf"\b{name}=%?([\w.-]+)", rest)
    assert found is not None, (name, rest)
    return found[1]


def branches(rest: str) -> list[str]:
    """The computations of which a conditional runs one."""
    if found := re.search(r"branch_computations=\{(.*?)\}", rest):
        return [name.strip().lstrip("%") for name in found[1].split(",")]
    return [attribute(rest, "true_computation"), attribute(rest, "false_computation")]


def _computations(text: str) -> Iterator[tuple[str, bool, list[str]]]:
    name, is_entry = "", False
    lines: list[str] = []
    for line in text.splitlines():
        if (start := re.match(r"(ENTRY )?%?([\w.-]+) .*\{$", line)) and " = " not in line[:80]:
            name, is_entry, lines = start[2], bool(start[1]), []
        elif line.startswith("}") and name:
            yield name, is_entry, sorted(lines, key=lambda line: "ROOT " in line[:12])
            name = ""
        elif name:
            lines.append(line)


def _instruction(line: str) -> Instruction | None:
    found = re.match(r"\s*(?:ROOT )?%?([\w.-]+) = (.*)", line)
    if found is None:
        return None
    shape, after = _until_closed(found[2]) if found[2][0] == "(" else found[2].split(" ", 1)
    opcode, inside = after.strip().split("(", 1)
    operands, rest = _until_closed("(" + inside)
    names = re.findall(r"%([\w.-]+)", operands)
    if opcode in ("parameter", "constant"):
        names = [operands.strip("()")]
    return Instruction(found[1], _arrays(shape), opcode, names, rest)


def _until_closed(text: str) -> tuple[str, str]:
    depth = 0
    for end, character in enumerate(text):
        depth += (character == "(") - (character == ")")
        if depth == 0:
            return text[: end + 1], text[end + 1 :]
    raise ValueError(f"not HLO: {text[:200]}")


def _arrays(shape: str) -> list[Array]:
    found = re.findall(r"([a-z]\w*)\[([\d,]*)\](\{[^}]*\})?", shape)
    return [
        Array(dtype, tuple(map(int, filter(None, dims.split(",")))), "S(" not in layout)
        for dtype, dims, layout in found
    ]
