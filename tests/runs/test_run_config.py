"""Whose a folder is, and what it keeps of a configuration."""

import dataclasses
import json

import pytest

from animclip_jax.animation.config import MOTIONS, AnimationConfig
from animclip_jax.models.towers import CLIP
from animclip_jax.runs import run_config


def config(steps: int = 10, **changes) -> dict:
    animation = {"preset": "full", "range": [0.1, 0.5], "half": steps // 2}
    return {"steps": steps, "animation": animation} | changes


def test_a_folder_belongs_to_one_configuration(tmp_path):
    run_config.require_same(tmp_path / "a", config())  # nobody's yet
    run_config.claim(tmp_path / "a", config())
    run_config.require_same(tmp_path / "a", config())
    with pytest.raises(ValueError, match=r"steps: there 10, here 20") as error:
        run_config.require_same(tmp_path / "a", config(steps=20))
    assert "animation.half: there 5, here 10" in str(error.value)
    assert run_config.read(tmp_path / "a")["steps"] == 10


def test_a_run_of_a_version_that_knew_clip_alone_goes_on(tmp_path):
    model = {"width": 8}
    run_config.claim(tmp_path, config(model=model))
    towers = json.loads(json.dumps(dataclasses.asdict(CLIP)))
    run_config.require_same(tmp_path, config(model=model | {"towers": towers}))
    other = config(model=model | {"towers": towers | {"norm_epsilon": 1e-6}})
    with pytest.raises(ValueError, match="model.towers.norm_epsilon: there 1e-05, here 1e-06"):
        run_config.require_same(tmp_path, other)


def test_a_run_of_a_version_that_moved_no_things_and_named_no_motion_goes_on(tmp_path):
    run_config.claim(tmp_path, config())
    defaults = json.loads(json.dumps(dataclasses.asdict(AnimationConfig())))
    now = {name: defaults[name] for name in ("thing", *MOTIONS, "told")}
    run_config.require_same(tmp_path, config(animation=config()["animation"] | now))
    now["slide"]["travel"] = [0.1, 0.2]
    with pytest.raises(ValueError, match=r"animation.slide.travel: .* here \[0.1, 0.2\]"):
        run_config.require_same(tmp_path, config(animation=config()["animation"] | now))


def test_where_and_how_fast_it_is_computed_may_change(tmp_path):
    run_config.claim(tmp_path, config(mesh={"fsdp": 1}, microbatch=0, microbatches=1))
    run_config.require_same(tmp_path, config(mesh={"fsdp": 8}, microbatch=4, microbatches=1))
    other = config(mesh={"fsdp": 8}, microbatch=4, microbatches=2)
    with pytest.raises(ValueError, match="microbatches: there 1, here 2"):
        run_config.require_same(tmp_path, other)
    run_config.require_same(tmp_path, other, besides=("microbatches",))


def test_a_runs_folder_is_for_one_at_a_time(tmp_path):
    run = tmp_path / "run"
    with run_config.alone(run):
        with (
            pytest.raises(
                BlockingIOError, match="run: another process is training or evaluating there now"
            ),
            run_config.alone(run),
        ):
            pass
        (run / "metrics.jsonl").touch()
    with run_config.alone(run):
        pass
    assert [path.name for path in run.iterdir()] == ["metrics.jsonl"]


def test_a_folder_that_nothing_was_written_to_is_not_left(tmp_path):
    with pytest.raises(FileNotFoundError), run_config.alone(tmp_path / "run"):
        raise FileNotFoundError
    assert list(tmp_path.iterdir()) == []


def test_results_of_an_earlier_step_do_not_finish_a_run(tmp_path):
    (tmp_path / "results.json").touch()
    assert not run_config.is_finished(tmp_path)
    (tmp_path / "finished").touch()
    assert run_config.is_finished(tmp_path)


def test_a_configuration_comes_back_as_it_was(tmp_path):
    run_config.claim(tmp_path, config())
    found = run_config.read(tmp_path)
    assert found["animation"]["range"] == (0.1, 0.5)
    found["animation"]["range"] = [0.1, 0.5]
    assert found == config()


def test_a_folder_that_is_no_run_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="config.json"):
        run_config.read(tmp_path / "nothing")


def test_a_folder_of_several_runs_lists_them(tmp_path):
    for arm in ("still", "animated"):
        run_config.claim(tmp_path / "sweep" / arm, config())
    with pytest.raises(FileNotFoundError) as error:
        run_config.read(tmp_path / "sweep")
    listed = f"{tmp_path}/sweep/animated, {tmp_path}/sweep/still"
    assert str(error.value) == f"{tmp_path}/sweep: holds several runs, choose one: {listed}"


def test_a_setting_may_be_infinite(tmp_path):
    run_config.claim(tmp_path, config(limit=float("inf")))
    run_config.require_same(tmp_path, config(limit=float("inf")))
    assert run_config.read(tmp_path)["limit"] == float("inf")
