"""What a compiled program costs a device, read from its HLO text, with loops counted in full.

XLA's own cost analysis (hlo_cost_analysis.cc) counts the body of a loop once, and layers are
scanned.
"""

import dataclasses
import functools
import itertools
import math
import re
from collections import Counter
from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np

from animclip_jax.planning.hlo_text import (
    Array,
    Instruction,
    attribute,
    branches,
    device_group,
    numbers,
    parse,
)

# A float32 product at HIGHEST takes this many passes of bfloat16 products on a TPU.
HIGHEST_PASSES = 6
COLLECTIVES = ("all-reduce", "all-gather", "reduce-scatter", "all-to-all", "collective-permute")
# Move nothing themselves: names for what is there, or containers of what is counted inside.
FREE = frozenset(
    ("parameter", "constant", "tuple", "get-tuple-element", "bitcast", "after-all", "iota")
    + ("while", "conditional", "call", "partition-id", "replica-id", "opt-barrier", "async-start")
)
SLICES = ("dynamic-slice", "slice", "gather")


class Collective(NamedTuple):
    """A kind of communication; `group` are the devices that device 0 does it with."""

    kind: str
    group: tuple[int, ...]


@dataclasses.dataclass
class Cost:
    """Of one device and one run of the program.

    flops: of matrix products and convolutions, 2 a multiply-add. passes: the same, counted as often
    as the unit of matrix products passes over them (`HIGHEST_PASSES`). bytes: read from and written
    to HBM. collectives: the bytes each communicates, of the larger of its operand and result.
    unknown_loops: loops without a known number of rounds, counted once.
    """

    flops: float = 0.0
    passes: float = 0.0
    bytes: float = 0.0
    collectives: Counter[Collective] = dataclasses.field(default_factory=Counter)
    calls: Counter[Collective] = dataclasses.field(default_factory=Counter)
    unknown_loops: int = 0

    def add(self, other: "Cost", times: int = 1) -> None:
        for name in ("flops", "passes", "bytes", "unknown_loops"):
            setattr(self, name, getattr(self, name) + times * getattr(other, name))
        for mine, theirs in ((self.collectives, other.collectives), (self.calls, other.calls)):
            for key, value in theirs.items():
                mine[key] += times * value


def cost(text: str) -> Cost:
    """The cost of an optimised module (`compiled.as_text()`)."""
    return _Module(text).cost_of_entry()


def collectives(text: str) -> list[Instruction]:
    """Every collective that stands in an optimised module, those inside of loops once."""
    module = _Module(text)
    return [
        instruction
        for computation in module.computations.values()
        for instruction in computation
        if _is_collective(instruction) and instruction.name not in module.continued
    ]


class _Module:
    def __init__(self, text: str):
        self.computations, self.entry = parse(text)
        self.continued = _continued(self.computations.values())
        self.cost_of = functools.cache(self._cost_of)

    def cost_of_entry(self) -> Cost:
        return self.cost_of(self.entry, False)

    def _cost_of(self, name: str, is_fused: bool) -> Cost:
        """Inside a fusion nothing is read or written but by the fusion as a whole."""
        total = Cost()
        shapes = {i.name: i.shape for i in self.computations[name]}
        for instruction in self.computations[name]:
            self._add_instruction(total, instruction, shapes, is_fused)
        return total

    def _add_instruction(
        self, total: Cost, instruction: Instruction, shapes: dict, is_fused: bool
    ) -> None:
        opcode, rest = instruction.opcode, instruction.rest
        if (count := PRODUCTS.get(opcode)) is not None:
            flops = count(instruction, shapes)
            total.flops += flops
            total.passes += flops * (HIGHEST_PASSES if "highest" in rest else 1)
        if _is_collective(instruction) and instruction.name not in self.continued:
            kind = opcode.removesuffix("-start")
            sizes = [sum(a.bytes for a in shapes[name]) for name in instruction.operands]
            results = _begun(instruction) if opcode.endswith("-start") else instruction.shape
            key = Collective(kind, device_group(rest))
            total.collectives[key] += max(sum(sizes), sum(a.bytes for a in results))
            total.calls[key] += 1
        if opcode == "while":
            rounds = self._rounds(instruction)
            total.unknown_loops += rounds is None
            total.add(self.cost_of(attribute(rest, "body"), is_fused), rounds or 1)
        elif opcode == "conditional":
            costs = [self.cost_of(branch, is_fused) for branch in branches(rest)]
            total.add(max(costs, key=lambda c: (c.flops, c.bytes)))
        elif (called := re.search(r"\b(?:calls|to_apply)=%?([\w.-]+)", rest)) and (
            opcode in ("fusion", "call", "async-start", "custom-call")
        ):
            total.add(self.cost_of(called[1], is_fused or opcode == "fusion"))
        if not is_fused and opcode not in FREE and not opcode.endswith("-done"):
            total.bytes += self._traffic(instruction, shapes)

    def _rounds(self, loop: Instruction) -> int | None:
        if known := re.search(r'"?known_trip_count"?:\{"n":"(\d+)"', loop.rest):
            return int(known[1])
        # As JAX writes a scan: from 0, by 1, while less than a constant.
        condition = {i.name: i for i in self.computations[attribute(loop.rest, "condition")]}
        test = list(condition.values())[-1]
        if test.opcode != "compare" or "direction=LT" not in test.rest:
            return None
        bound = condition[test.operands[1]]
        return int(bound.operands[0]) if bound.opcode == "constant" else None

    def _traffic(self, instruction: Instruction, shapes: dict) -> int:
        """Bytes of HBM that one kernel reads and writes."""
        opcode, operands = instruction.opcode, instruction.operands
        if opcode == "slice-start":  # ((operand), slice, context)
            taken = instruction.shape[1]
            return taken.bytes * (1 + taken.in_hbm)
        inside: list[Instruction] = []
        if opcode == "fusion":
            inside = self.computations[attribute(instruction.rest, "calls")]
        elif opcode in (*SLICES, "dynamic-update-slice"):  # as a fusion of its own
            inside = [
                *(
                    Instruction(n, shapes[n], "parameter", [str(i)], "")
                    for i, n in enumerate(operands)
                ),
                instruction,
            ]
        read = 0
        for number, name in enumerate(operands):
            arrays = [a for a in shapes[name] if a.in_hbm]
            if arrays:
                part = self._read_of_parameter(inside, number) if inside else None
                read += sum(a.bytes for a in arrays) if part is None else part
        if opcode.endswith("-start"):
            written = instruction.shape[:1] if opcode == "copy-start" else _begun(instruction)
        else:
            written = instruction.shape[:-1] if _is_gemm(instruction) else instruction.shape
        if not inside:
            return read + sum(a.bytes for a in written if a.in_hbm)
        pairs = _results(inside, written, self.continued)
        return read + sum(self._written(inside, name, array) for name, array in pairs)

    def _read_of_parameter(self, inside: list[Instruction], number: int) -> int | None:
        """Bytes that a fusion reads of an operand it takes slices of; None where it reads all.

        The slices may be taken by a fusion inside of the fusion.
        """
        (name,) = [
            i.name for i in inside if i.opcode == "parameter" and i.operands == [str(number)]
        ]
        names, read = {name}, 0
        for instruction in inside:
            taken = [at for at, name in enumerate(instruction.operands) if name in names]
            if not taken or instruction.opcode == "parameter":
                continue
            if instruction.name in self.continued or _hands_on(instruction, inside, self.continued):
                continue
            if instruction.opcode == "bitcast":
                names.add(instruction.name)
            elif instruction.opcode in SLICES and taken == [0]:
                read += sum(a.bytes for a in instruction.shape)
            elif instruction.opcode == "fusion":
                within = self.computations[attribute(instruction.rest, "calls")]
                parts = [self._read_of_parameter(within, at) for at in taken]
                if None in parts:
                    return None
                read += sum(part or 0 for part in parts)
            elif instruction.opcode != "dynamic-update-slice" or taken != [0]:
                return None
        return read

    def _written(self, inside: list[Instruction], name: str, array: Array) -> int:
        """Bytes that a fusion writes of a result: of one that is updated in place, the update."""
        if not array.in_hbm:
            return 0
        by_name = {i.name: i for i in inside}
        made = by_name[name]
        while made.opcode == "bitcast":
            made = by_name[made.operands[0]]
        if made.opcode == "fusion":
            within = self.computations[attribute(made.rest, "calls")]
            return self._written(within, within[-1].name, array)
        if made.opcode == "dynamic-update-slice":
            return sum(a.bytes for a in by_name[made.operands[1]].shape)
        return array.bytes


def _is_gemm(instruction: Instruction) -> bool:
    """A matrix product by cuBLAS; its results end with the memory that it works in."""
    return instruction.opcode == "custom-call" and '"__cublas$' in instruction.rest


def _is_collective(instruction: Instruction) -> bool:
    return instruction.opcode.removesuffix("-start") in COLLECTIVES


def _begun(start: Instruction) -> list[Array]:
    """The results of what begins: its shape is (operands, results, context), or they alone."""
    count = len(start.operands)
    return start.shape[count : 2 * count] or start.shape


def _continued(computations: Iterable[list[Instruction]]) -> set[str]:
    """Names of collectives that go on with one that stands before them.

    The TPU compiler sends a large array while other kernels compute: each kernel of a chain has an
    instruction that looks like the whole.
    """
    seen, found = set(), set()
    for instruction in itertools.chain.from_iterable(computations):
        chain = re.search(r'channel_id=(\d+).*\bchain_id="(\d+)"', instruction.rest)
        if chain and _is_collective(instruction):
            if chain.groups() in seen:
                found.add(instruction.name)
            seen.add(chain.groups())
    return found


def _results(
    inside: list[Instruction], written: list[Array], continued: set[str]
) -> list[tuple[str, Array]]:
    """What a fusion writes, by what makes it: not what it hands on, nor what a chain has sent."""
    root = inside[-1]
    if root.opcode == "custom-call" and continued & set(root.operands):
        return []
    if root.opcode != "tuple" or len(root.operands) != len(written):
        return [(root.name, array) for array in written]
    handed_on = continued | {i.name for i in inside if i.opcode == "parameter"}
    pairs = zip(root.operands, written, strict=True)
    return [(name, array) for name, array in pairs if name not in handed_on]


def _hands_on(instruction: Instruction, inside: list[Instruction], continued: set[str]) -> bool:
    """Whether it is a fusion's root and reads nothing of its operands."""
    is_end = instruction.opcode == "custom-call" and continued & set(instruction.operands)
    return instruction is inside[-1] and (instruction.opcode == "tuple" or bool(is_end))


def _dot_flops(dot: Instruction, shapes: dict) -> float:
    lhs = shapes[dot.operands[0]][0].dims
    contracted = math.prod(lhs[i] for i in numbers(dot.rest, "lhs_contracting_dims"))
    return 2.0 * math.prod(dot.shape[0].dims) * contracted


def _call_flops(call: Instruction, shapes: dict) -> float:
    """Of a product by cuBLAS; of a kernel in Pallas what it says of itself; 0 of other calls."""
    if said := re.search(r'"cost_estimate":\{"flops":"?(\d+)', call.rest):
        return float(said[1])
    found = re.search(r'"lhs_contracting_dimensions":\[([\d",]*)\]', call.rest)
    if not _is_gemm(call) or found is None:
        return 0.0
    lhs = shapes[call.operands[0]][0].dims
    contracted = math.prod(lhs[int(i)] for i in re.findall(r"\d+", found[1]))
    return 2.0 * math.prod(call.shape[0].dims) * contracted


def _convolution_flops(convolution: Instruction, shapes: dict) -> float:
    """Products with padding and with the holes of dilation are not done, and not counted."""
    lhs, rhs = (shapes[name][0].dims for name in convolution.operands)
    out, rest = convolution.shape[0].dims, convolution.rest
    labels = re.search(r"dim_labels=(\w+)_(\w+)->(\w+)", rest)
    assert labels is not None, rest
    window = _window(rest)
    fmas = float(lhs[labels[1].index("b")] * out[labels[3].index("f")])
    fmas *= rhs[labels[2].index("i")]
    if groups := re.search(r"batch_group_count=(\d+)", rest):
        fmas /= int(groups[1])
    for number in range(sum(c.isdigit() for c in labels[1])):
        label = str(number)
        fmas *= _valid_positions(
            lhs[labels[1].index(label)], out[labels[3].index(label)], *window(number)
        )
    return 2.0 * fmas


def _window(rest: str) -> Callable[[int], tuple[int, int, int, int, int]]:
    """-> of a spatial dimension: size, stride, padding before, dilation of lhs and of rhs."""
    found = re.search(r"window=\{([^}]*)\}", rest)
    fields = dict(part.split("=") for part in found[1].split()) if found else {}

    def of(number: int) -> tuple[int, int, int, int, int]:
        def field(name: str, default: str) -> str:
            return fields[name].split("x")[number] if name in fields else default

        before = int(field("pad", "0_0").split("_")[0])
        size, stride = int(field("size", "1")), int(field("stride", "1"))
        return size, stride, before, int(field("lhs_dilate", "1")), int(field("rhs_dilate", "1"))

    return of


@functools.cache
def _valid_positions(
    lhs: int, out: int, size: int, stride: int, before: int, lhs_dilate: int, rhs_dilate: int
) -> int:
    """How many of the pairs (output, window position) lie on an element of the lhs."""
    at = np.arange(out)[:, None] * stride + np.arange(size) * rhs_dilate - before
    return int(((at >= 0) & (at % lhs_dilate == 0) & (at // lhs_dilate < lhs)).sum())


PRODUCTS = {"dot": _dot_flops, "convolution": _convolution_flops, "custom-call": _call_flops}
