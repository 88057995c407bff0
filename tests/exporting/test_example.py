"""How an export is held against the live model: what passes, what does not."""

import dataclasses

import numpy as np
import pytest

from animclip_jax.exporting import example
from input_pipeline.drawn import scene as scenes
from tests.exporting.models import WHOLE, bfloat16, source

Arrays = dict[str, np.ndarray]


def arrays_of(config) -> Arrays:
    arrays = example.inputs(config, 2)
    return arrays | example.outputs(source(config).params, config, arrays)


@pytest.fixture(scope="module")
def arrays() -> Arrays:
    return arrays_of(WHOLE)


def test_inputs_are_real(arrays):
    assert arrays["frames"].shape == (2, 3, 32, 32, 3) and arrays["frames"].std() > 20
    np.testing.assert_array_equal(arrays["tokens"][:, 0], 98)
    np.testing.assert_array_equal(arrays["tokens"].max(axis=1), 99)
    assert not np.array_equal(*arrays["tokens"]) and not np.array_equal(*arrays["frames"])


def test_no_two_inputs_are_siblings(monkeypatch):
    drawn = []

    def kept(split: str, index: int) -> scenes.Scene:
        drawn.append((split, index))
        return scenes.scene(split, index)

    monkeypatch.setattr(example, "scene", kept)
    example.inputs(WHOLE, 4)
    assert len({index // 2 for _, index in drawn}) == 4, "siblings are scenes 2i and 2i + 1"


def test_outputs_are_all_that_differ_with_the_input(arrays):
    assert arrays["video_code"].dtype == np.int8
    assert arrays["video_code_scales"].dtype == np.float16
    for name in ("text_embedding", "text_hidden", "video_embedding", "video_code", "scores"):
        assert not np.array_equal(*arrays[name]), name


@pytest.mark.parametrize("name", ["text_embedding", "text_hidden", "video_embedding", "scores"])
def test_a_difference_above_rounding_is_named(arrays, name):
    scale = np.abs(arrays[name]).max()
    if name == "scores":
        scale = max(scale, float(arrays[example.LOGIT_SCALE]))
    for share in (5e-6, -5e-6):
        example.compare({name: arrays[name] + np.float32(share * scale)}, arrays, WHOLE)
    for wrong in (2e-5 * scale, np.nan):
        value = arrays[name].copy()
        value[0, ...] += np.float32(wrong)
        with pytest.raises(ValueError, match=f"{name} differs by"):
            example.compare({name: value}, arrays, WHOLE)


def test_other_shapes_and_dtypes_are_named(arrays):
    for value in (arrays["scores"][:1], arrays["scores"].astype(np.float64)):
        with pytest.raises(ValueError, match="scores is float.*, wanted float32 \\(2,\\)"):
            example.compare({"scores": value}, arrays, WHOLE)


def test_a_code_is_the_live_one_to_its_nearest_step(arrays):
    code = {name: arrays[name].copy() for name in example.CODE}
    example.compare(code, arrays, WHOLE)
    code["video_code"][1, 3, 5] += 1 if code["video_code"][1, 3, 5] < 127 else -1
    with pytest.raises(ValueError, match="video_code differs by"):
        example.compare(code, arrays, WHOLE)
    code = {name: arrays[name].copy() for name in example.CODE}
    code["video_code_scales"][0, 2] *= 1.01
    with pytest.raises(ValueError, match="video_code differs by"):
        example.compare(code, arrays, WHOLE)


def test_codes_of_bfloat16():
    config = bfloat16()
    arrays = arrays_of(config)
    assert arrays["video_code"].dtype == "bfloat16" and "video_code_scales" not in arrays
    example.compare({"video_code": arrays["video_code"]}, arrays, config)
    wrong = (arrays["video_code"].astype(np.float32) * 1.05).astype(arrays["video_code"].dtype)
    with pytest.raises(ValueError, match="video_code differs by"):
        example.compare({"video_code": wrong}, arrays, config)


def test_the_function_that_is_wrong_is_named(arrays):
    def good(given: Arrays) -> Arrays:
        return {"scores": given["scores"]}

    def bad(given: Arrays) -> Arrays:
        return {"scores": given["scores"] + 1}

    example.check({"rerank": good}, arrays, WHOLE)
    with pytest.raises(ValueError, match="rerank is not the live model's: scores differs by"):
        example.check({"other": good, "rerank": bad}, arrays, WHOLE)


def test_float32_codes():
    reranker = dataclasses.replace(WHOLE.reranker, code_dtype="float32")
    config = dataclasses.replace(WHOLE, reranker=reranker)
    arrays = arrays_of(config)
    example.compare({"video_code": arrays["video_code"]}, arrays, config)
    with pytest.raises(ValueError, match="video_code differs by"):
        example.compare({"video_code": arrays["video_code"] * np.float32(1.001)}, arrays, config)
