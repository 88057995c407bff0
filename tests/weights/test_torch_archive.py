"""PyTorch's archives without PyTorch: real ones load, hostile ones run nothing."""

import collections
import io
import os
import pickle
import sys
import types
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from animclip_jax.weights import torch_archive
from tests.weights.reference import GOLDEN, GOLDEN_CLIP


def archive(path: Path, data: bytes, storages: dict[str, bytes], **options: Any) -> Path:
    with zipfile.ZipFile(path, "w", **options) as file:
        file.writestr("model/data.pkl", data)
        for key, values in storages.items():
            file.writestr(f"model/data/{key}", values)
    return path


def rebuild(storage: Any, offset: Any, size: Any, stride: Any) -> Any:
    """A tensor as PyTorch's pickles have it; names are looked up when it is pickled."""
    function = sys.modules["torch._utils"]._rebuild_tensor_v2
    return Call(function, (storage, offset, size, stride, False, collections.OrderedDict()))


class Call:
    """What unpickles by calling a function."""

    def __init__(self, function: Any, arguments: tuple):
        self.call = function, arguments

    def __reduce__(self) -> tuple:
        return self.call


class Storage:
    def __init__(self, kind: str, key: str, count: int):
        self.kind, self.key, self.count = kind, key, count


@pytest.fixture
def dumps(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Pickles as torch.save does, with modules of torch's names that hold nothing."""
    for name in ("torch", "torch._utils"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))

    def name_only(module: str, name: str) -> Any:
        function = types.FunctionType((lambda: None).__code__, {}, name)
        function.__module__, function.__qualname__ = module, name
        setattr(sys.modules[module], name, function)
        return function

    name_only("torch._utils", "_rebuild_tensor_v2")

    class Pickler(pickle.Pickler):
        def persistent_id(self, value: Any) -> Any:
            if isinstance(value, Storage):
                kind = name_only("torch", value.kind)
                return ("storage", kind, value.key, "cpu", value.count)
            return None

    def dump(value: Any) -> bytes:
        buffer = io.BytesIO()
        Pickler(buffer, protocol=2).dump(value)
        return buffer.getvalue()

    return dump


FLOATS = np.arange(6, dtype=np.float32)


def test_openais_archive_loads():
    found = torch_archive.read(GOLDEN / "openai.pt")
    assert found.is_script
    assert found.tensors["visual.conv1.weight"].shape == (20, 3, 8, 8)
    assert found.tensors["logit_scale"].shape == () and found.tensors["logit_scale"] == 2.5
    assert found.tensors["vocab_size"] == GOLDEN_CLIP.vocab_size
    assert found.tensors["transformer.resblocks.0.ln_1.weight"].dtype == np.float16


def test_a_state_dict_loads(tmp_path, dumps):
    storage = Storage("FloatStorage", "0", 6)
    state = collections.OrderedDict(
        whole=rebuild(storage, 0, (2, 3), (3, 1)),
        transposed=rebuild(storage, 0, (3, 2), (1, 3)),
        part=rebuild(storage, 2, (2,), (1,)),
        nothing=rebuild(storage, 0, (0, 3), (3, 1)),
        epoch=7,
    )
    path = archive(tmp_path / "a.pt", dumps(state), {"0": FLOATS.tobytes()})
    tensors, is_script = torch_archive.read(path)
    assert not is_script and sorted(tensors) == ["nothing", "part", "transposed", "whole"]
    np.testing.assert_array_equal(tensors["whole"], FLOATS.reshape(2, 3))
    np.testing.assert_array_equal(tensors["transposed"], FLOATS.reshape(2, 3).T)
    np.testing.assert_array_equal(tensors["part"], [2, 3])
    assert tensors["nothing"].shape == (0, 3)


@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize(
    "function, name",
    [(os.system, "system"), (eval, "eval"), (os.mkdir, "mkdir"), (getattr, "getattr")],
)
def test_a_malicious_pickle_runs_nothing(tmp_path, dumps, function, name, nested):
    mark = tmp_path / "ran"
    argument = {
        os.system: (f"touch {mark}",),
        eval: (f"open({str(mark)!r}, 'w')",),
        os.mkdir: (str(mark),),
        getattr: (dict, "update"),
    }[function]
    bad = Call(function, argument)
    storage = Storage("FloatStorage", "0", 6)
    state = {"a": rebuild(storage, bad if nested else 0, (6,), (1,)), "b": bad}
    path = archive(tmp_path / "a.pt", dumps(state), {"0": FLOATS.tobytes()})
    with pytest.raises(ValueError, match=rf"\.{name}, which is neither a tensor nor a plain cont"):
        torch_archive.read(path)
    assert not mark.exists()


def test_the_same_pickle_would_have_run_elsewhere(tmp_path, dumps):
    mark = tmp_path / "ran"
    pickle.loads(dumps({"b": Call(os.mkdir, (str(mark),))}))
    assert mark.exists()


def test_names_below_an_allowed_one_are_refused(tmp_path):
    data = b"\x80\x04\x8c\x0ctorch._utils\x8c\x1e_rebuild_tensor_v2.__globals__\x93."
    with pytest.raises(ValueError, match="neither a tensor nor a plain container"):
        torch_archive.read(archive(tmp_path / "a.pt", data, {}))


@pytest.mark.parametrize(
    "offset, size, stride",
    [
        (0, (7,), (1,)),
        (1, (6,), (1,)),
        (0, (2, 3), (4, 1)),
        (-1, (2,), (1,)),
        (0, (2,), (-1,)),
        (0, (10**12,), (0,)),
        (0, (2,), (1, 1)),
        (0, 6, 1),
        (0, ("6",), (1,)),
        (10**6, (1,), (1,)),
    ],
)
def test_a_tensor_beyond_what_is_stored_is_refused(tmp_path, dumps, offset, size, stride):
    state = {"a": rebuild(Storage("FloatStorage", "0", 6), offset, size, stride)}
    path = archive(tmp_path / "a.pt", dumps(state), {"0": FLOATS.tobytes()})
    with pytest.raises(ValueError, match="a.pt: .*tensor"):
        torch_archive.read(path)


def test_damaged_and_other_files_are_refused(tmp_path, dumps):
    state = {"a": rebuild(Storage("FloatStorage", "0", 6), 0, (6,), (1,))}
    cases = {
        "not a zip archive": lambda path: path.write_bytes(b"\x80\x02}q\x00."),
        "0 data.pkl in it": lambda path: zipfile.ZipFile(path, "w").close(),
        "damaged archive": lambda path: archive(path, dumps(state), {}),
        "is compressed": lambda path: archive(
            path, dumps(state), {"0": FLOATS.tobytes()}, compression=zipfile.ZIP_DEFLATED
        ),
        "no tensor in it": lambda path: archive(path, dumps({"epoch": 1}), {}),
        "can't be read": lambda path: archive(path, b"\x80\x02(((", {}),
        "torch.FooStorage": lambda path: archive(
            path, dumps({"a": rebuild(Storage("FooStorage", "0", 1), 0, (1,), (1,))}), {}
        ),
    }
    for message, make in cases.items():
        make(tmp_path / "a.pt")
        with pytest.raises(ValueError, match=message):
            torch_archive.read(tmp_path / "a.pt")


def test_a_tensor_with_another_byte_is_damage_and_no_old_format(tmp_path):
    whole = bytearray((GOLDEN / "openai.pt").read_bytes())
    with zipfile.ZipFile(GOLDEN / "openai.pt") as packed:
        plain = [one for one in packed.infolist() if "/data/" in one.filename]
        largest = packed.read(max(plain, key=lambda one: one.file_size))
    whole[whole.index(largest) + len(largest) // 2] ^= 1
    (tmp_path / "a.pt").write_bytes(whole)
    with pytest.raises(ValueError, match="a.pt: a damaged archive: .*download it again"):
        [np.asarray(one) for one in torch_archive.read(tmp_path / "a.pt").tensors.values()]


def test_a_damaged_index_is_named(tmp_path):
    whole = (GOLDEN / "openai.pt").read_bytes()
    name = whole.rindex(b"/data.pkl") + 1  # in the index, behind an entry's 46 bytes
    entry = whole.rindex(b"PK\1\2", 0, name)
    for at, changed in ((name, b"\xff"), (entry + 20, 2 * (10**8).to_bytes(4, "little"))):
        path = tmp_path / "a.pt"
        path.write_bytes(whole[:at] + changed + whole[at + len(changed) :])
        with pytest.raises(ValueError, match="a.pt: "):
            torch_archive.read(path)


def test_files_that_pytorch_writes_now(tmp_path):
    torch = pytest.importorskip("torch", reason="needs the extra `parity`")
    state = {
        "weight": torch.arange(6.0).reshape(2, 3).T,
        "half": torch.nn.Parameter(torch.ones(3, dtype=torch.bfloat16)),
        "scalar": torch.tensor(2.5),
    }
    torch.save(state, tmp_path / "a.pt")
    tensors = torch_archive.read(tmp_path / "a.pt").tensors
    assert set(tensors) == set(state)
    for name, value in state.items():
        np.testing.assert_array_equal(tensors[name].astype(np.float32), value.detach().float())
