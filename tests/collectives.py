"""The collectives of a compiled program: what crosses between which devices."""

import re
from typing import NamedTuple

import numpy as np

OPS = "all-gather|all-reduce|reduce-scatter|all-to-all|collective-permute"
LINE = re.compile(rf"= (?P<shapes>\(.*?\)|\S+) (?P<op>{OPS})(?:-start)?\(")
MESH = re.compile(
    r"replica_groups=mesh\[(?P<axes>[^]]*)\](?:, device_ids=\((?P<ids>\S+)\))? \{(?P<over>[^}]*)\}"
)
IOTA = re.compile(r"\[(?P<shape>[\d,]+)\](?:<=\[(?P<source>[\d,]+)\])?(?:T\((?P<order>[\d,]+)\))?")


class Collective(NamedTuple):
    """op; shapes of its arrays; groups of devices that it joins; the operation it came from."""

    op: str
    shapes: list[tuple[int, ...]]
    groups: list[list[int]]
    name: str


def collectives(program: str) -> list[Collective]:
    """Every collective of a program's HLO text."""
    found = []
    for line in program.splitlines():
        if match := LINE.search(line):
            shapes = [_numbers(shape) for shape in re.findall(r"\w+\[([\d,]*)\]", match["shapes"])]
            name = re.search(r'op_name="([^"]*)"', line)
            found.append(Collective(match["op"], shapes, _groups(line), name[1] if name else ""))
    return found


def _groups(line: str) -> list[list[int]]:
    for listed in re.findall(r"(?:replica_groups|source_target_pairs)=\{(\{.*?\})\}", line):
        return [list(_numbers(group)) for group in re.findall(r"\{([\d,]*)\}", listed)]
    if match := MESH.search(line):
        names, sizes = zip(*re.findall(r"'(\w+)'=(\d+)", match["axes"]), strict=True)
        devices = np.arange(np.prod([int(size) for size in sizes]))
        if match["ids"]:
            devices = _iota(match["ids"]).ravel()
        over = [names.index(name) for name in re.findall(r"'(\w+)'", match["over"])]
        grid = devices.reshape([int(size) for size in sizes])
        grid = np.moveaxis(grid, over, range(-len(over), 0))
        return grid.reshape(-1, np.prod(grid.shape[-len(over) :])).tolist()
    return _iota(line.split("replica_groups=")[1]).tolist()


def _iota(text: str) -> np.ndarray:
    """XLA's `[2,4]<=[4,2]T(1,0)`: numbers in the shape of the source, transposed, reshaped."""
    match = IOTA.match(text)
    assert match, text
    shape = _numbers(match["shape"])
    source = np.arange(np.prod(shape)).reshape(_numbers(match["source"] or match["shape"]))
    return source.transpose(_numbers(match["order"]) if match["order"] else None).reshape(shape)


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in text.split(",") if number)
