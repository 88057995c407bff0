"""Signals are asked for after the step; handlers are put back."""

import os
import signal

import pytest

from animclip_jax.training.interruption import Interruption


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 0)])
def test_a_signal_is_remembered(number, code):
    before = signal.getsignal(number)
    with Interruption() as interruption:
        assert interruption.signal_name is None and not interruption.stops_after(0)
        os.kill(os.getpid(), number)
        assert interruption.signal_name == number.name and interruption.stops_after(1)
        assert interruption.exit_code == code
    assert signal.getsignal(number) is before


def test_a_second_ctrl_c_stops_at_once():
    with Interruption(), pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
