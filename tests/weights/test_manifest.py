"""manifest.json: what is written is found again; what has changed is refused by name."""

import hashlib
import json
from typing import Any

import pytest

from animclip_jax.weights import manifest


@pytest.fixture
def written(tmp_path):
    (tmp_path / "below").mkdir()
    (tmp_path / "a.bin").write_bytes(bytes(range(256)))
    (tmp_path / "below" / "b.bin").write_bytes(b"b")
    manifest.write(tmp_path, "stablehlo", {"about": (1, 2)}, ["optax", "no-such-package"])
    return tmp_path


def test_says_what_made_it_and_what_it_holds(written):
    found = manifest.check(written, "stablehlo")
    assert found["about"] == [1, 2] and set(found["files"]) == {"a.bin", "below/b.bin"}
    assert found["files"]["a.bin"]["bytes"] == 256
    assert found["packages"]["jax"] and found["packages"]["optax"]
    assert found["packages"]["no-such-package"] is None


def test_a_file_of_anothers_is_left_alone(written):
    (written / "README.md").write_text("about this model")
    manifest.check(written, "stablehlo")


def test_every_flipped_byte_is_refused_by_the_files_name(written):
    for name in ("a.bin", "below/b.bin", manifest.MANIFEST):
        path = written / name
        whole = path.read_bytes()
        for place in range(0, len(whole), 1 + len(whole) // 100):
            path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
            with pytest.raises(ValueError, match=name):
                manifest.check(written, "stablehlo")
        path.write_bytes(whole)
    manifest.check(written, "stablehlo")


def test_what_is_missing_is_named(written):
    (written / "below" / "b.bin").unlink()
    with pytest.raises(FileNotFoundError, match="b.bin: no such file"):
        manifest.check(written, "stablehlo")
    (written / manifest.MANIFEST).unlink()
    with pytest.raises(FileNotFoundError, match="manifest.json: no such file"):
        manifest.check(written, "stablehlo")


def test_another_kind_or_version_is_named(written):
    with pytest.raises(ValueError, match="kind 'stablehlo' version 1, wanted 'hf' 1; .*=hf"):
        manifest.check(written, "hf")
    document = json.loads((written / manifest.MANIFEST).read_text())
    (written / manifest.MANIFEST).write_text(json.dumps(document | {"version": 2}))
    with pytest.raises(ValueError, match="version 2, wanted 'stablehlo' 1"):
        manifest.check(written, "stablehlo")


# What can't be in a manifest, by field.
WRONG: dict[str, list[Any]] = {
    "files": [
        None,
        ["a.bin"],
        {"a.bin": "x"},
        {"a.bin": {}},
        {"a.bin": {"bytes": -1, "sha256": 64 * "0"}},
        {"a.bin": {"bytes": True, "sha256": 64 * "0"}},
        {"a.bin": {"bytes": 256, "sha256": 7}},
        {"../a.bin": {"bytes": 256, "sha256": 64 * "0"}},
        {"/a.bin": {"bytes": 256, "sha256": 64 * "0"}},
    ],
    "packages": ["jax", ["jax"], 3],
    "origin": ["a run", [], 7],
    "origin.trained_on": ["drawn:train", [3], None],
    "frames.shape": ["5", ["batch"], ["batch", -3, 32, 32, 3]],
    "tokens.shape": [None, ["batch", "12"], ["batch", 0]],
    "functions": [[], {"rerank": []}, {"rerank": {"inputs": 3}}],
    "oldest_reader.jax": [0.11, "0.x", "1;2", []],
}


@pytest.mark.parametrize(
    ("field", "value"), [(field, value) for field, values in WRONG.items() for value in values]
)
def test_a_field_that_can_not_be_so_is_named(written, field, value):
    """Also where the manifest's own checksum is right, as another program may write it."""
    write_changed(written, field, value)
    with pytest.raises(ValueError) as raised:
        manifest.check(written, "stablehlo")
    said = str(raised.value)
    found = f"found {value!r:.80} as {field!r}, wanted "
    assert said.startswith(f"{written / 'manifest.json'}: {found}")
    assert said.endswith("; copy or export the model again") and "\n" not in said


def test_a_field_that_is_missing_is_named(written):
    for field in ("files", "packages"):
        changed = json.loads((written / manifest.MANIFEST).read_text())
        del changed[field]
        sealed(written, changed)
        with pytest.raises(ValueError, match=f"found nothing as '{field}', wanted"):
            manifest.check(written, "stablehlo")
        manifest.write(written, "stablehlo", {})
    with pytest.raises(ValueError, match="found nothing as 'tokens.shape', wanted"):
        manifest.check(written, "stablehlo", ["tokens.shape"])


def write_changed(directory, field, value):
    """The manifest with another value in a field, and with the checksum that fits it."""
    document = json.loads((directory / manifest.MANIFEST).read_text())
    outer, _, inner = field.partition(".")
    sealed(directory, document | {outer: {inner: value} if inner else value})


def sealed(directory, document):
    text = {name: value for name, value in document.items() if name != "sha256"}
    own = hashlib.sha256(json.dumps(text, sort_keys=True).encode()).hexdigest()
    (directory / manifest.MANIFEST).write_text(json.dumps(text | {"sha256": own}))
