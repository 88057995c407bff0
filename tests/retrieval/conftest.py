"""How batches and galleries lie on this process's devices, as every command has them."""

import pytest
from jax.sharding import NamedSharding

from animclip_jax import sharding


@pytest.fixture(scope="session")
def split() -> NamedSharding:
    return sharding.batch_sharding(sharding.make_mesh(sharding.MeshConfig(-1, 1)))
