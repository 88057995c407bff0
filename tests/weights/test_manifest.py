"""manifest.json: what is written is found again; what has changed is refused by name."""

import json

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
