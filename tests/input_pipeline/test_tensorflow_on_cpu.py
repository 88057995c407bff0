"""Tests of input_pipeline.tensorflow_on_cpu; that all imports come from it, test_architecture."""

import importlib

import pytest
import tensorflow as tf

from input_pipeline import tensorflow_on_cpu


def test_the_gpu_is_hidden_from_tensorflow(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[list, str]] = []
    monkeypatch.setattr(tf.config, "set_visible_devices", lambda *given: asked.append(given))
    importlib.reload(tensorflow_on_cpu)
    assert asked == [([], "GPU")]


def test_a_program_that_used_tensorflow_before_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def too_late(*_: object) -> None:
        raise RuntimeError("Visible devices cannot be modified after being initialized")

    monkeypatch.setattr(tf.config, "set_visible_devices", too_late)
    assert importlib.reload(tensorflow_on_cpu).tf is tf
