"""The search for settings, with plans that are made up."""

import pytest

from animclip_jax.planning import suggest as module
from animclip_jax.planning.estimate import Plan
from configs import folders


def made_up(used: float, seconds: float, available: float = 16.0) -> Plan:
    fits = used <= available
    step = {"step": seconds} if fits else None
    return Plan(fits, 16, "TPU v5 lite", used, available, 1.0, seconds=step)


@pytest.fixture
def search(monkeypatch):
    """Runs the search on memory and seconds by (remat, fsdp, parts): best, and what was tried."""

    def run(plan_of, microbatch: bool = True):
        config = folders.get_config()
        config.batch_size = 128
        if "microbatch" in config:
            del config["microbatch"]
        if microbatch:
            config.microbatch = 0
        tried = []

        def plan(config, devices):
            parts = config.batch_size // (config.get("microbatch") or config.batch_size)
            return made_up(*plan_of(config.model.remat, config.mesh.fsdp, parts))

        monkeypatch.setattr(module, "plan", plan)
        monkeypatch.setattr(module.program, "state_bytes", lambda config: 2 * 2**30)
        best = module.suggest(config, [None] * 16, lambda settings, _: tried.append(settings))
        return best, [tuple(settings.values()) for settings in tried]

    return run


def test_what_fits_at_once_is_not_searched_further(search):
    best, tried = search(lambda remat, fsdp, parts: (10, 1.0))
    assert best[0] == {"model.remat": "none", "mesh.fsdp": 1, "microbatch": 0}
    assert tried == [("none", 1, 0)]


def test_the_fastest_of_equal_work_is_taken(search):
    # 8 of 16 GiB in four parts without remat, or whole with it.
    memory = {"none": 32, "dots": 100, "block": 8}
    for faster in ("none", "block"):
        best, tried = search(
            lambda remat, fsdp, parts, faster=faster: (
                memory[remat] / parts,
                1.0 if remat == faster else 1.2,
            )
        )
        assert best[0]["model.remat"] == faster
        assert {remat for remat, _, _ in tried} == {"none", "dots", "block"}


def test_what_is_pointless_is_not_compiled(search):
    memory = {"none": 400, "dots": 100, "block": 40}
    best, tried = search(lambda remat, fsdp, parts: (2 / fsdp + memory[remat] / parts, 1.0))
    assert best[0] == {"model.remat": "dots", "mesh.fsdp": 1, "microbatch": 16}
    # Of 400 and 100 GiB even an eighth is too much, and what fits whole is not split.
    assert tried == [("none", 1, 0), ("dots", 1, 0), ("block", 1, 0), ("dots", 1, 16)]


def test_a_state_that_is_too_large_is_split(search):
    best, tried = search(lambda remat, fsdp, parts: (15 + 2 / fsdp, 1.0))
    assert best[0] == {"model.remat": "none", "mesh.fsdp": 8, "microbatch": 0}
    assert tried == [("none", 1, 0), ("none", 8, 0)]


def test_where_nothing_fits_there_is_no_suggestion(search):
    best, tried = search(lambda remat, fsdp, parts: (17, 1.0))
    assert best is None
    assert len(set(tried)) == len(tried) > 6


def test_without_microbatches_in_the_configuration(search):
    best, tried = search(lambda remat, fsdp, parts: (17 if remat == "none" else 9, 1.0), False)
    assert best[0] == {"model.remat": "dots", "mesh.fsdp": 1}
