"""That tests' compiled programs never fill a process."""

import jax
import pytest

from tests import mappings


@pytest.mark.skipif(mappings.count() == 0, reason="the system does not list mappings")
def test_programs_are_let_go_once_there_are_many():
    kept = [jax.jit(lambda x, number=number: x + number) for number in range(20)]
    for function in kept:
        function(1.0).block_until_ready()
    before = mappings.count()
    mappings.let_programs_go(before + 1000)
    assert mappings.count() > before - len(kept)
    mappings.let_programs_go(0)
    assert mappings.count() <= before - len(kept)
