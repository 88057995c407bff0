"""How much work a function asks for."""

import math
from collections.abc import Callable
from typing import Any

import jax


def product_flops(function: Callable, *shapes: Any) -> int:
    """FLOPs of the matrix products of a function, those inside scans as often as they run."""
    return _count(jax.make_jaxpr(function)(*shapes).jaxpr)


def _count(jaxpr: Any) -> int:
    total = 0
    for equation in jaxpr.eqns:
        if equation.primitive.name == "dot_general":
            ((contracted, _), _) = equation.params["dimension_numbers"]
            left = equation.invars[0].aval.shape
            summed = math.prod(left[axis] for axis in contracted)
            total += 2 * math.prod(equation.outvars[0].aval.shape) * summed
        inner = [
            _count(getattr(found, "jaxpr", found))
            for value in equation.params.values()
            for found in (value if isinstance(value, tuple) else (value,))
            if hasattr(getattr(found, "jaxpr", found), "eqns")
        ]
        if equation.primitive.name == "cond":
            total += max(inner)
        else:
            total += sum(inner) * equation.params.get("length", 1)
    return total
