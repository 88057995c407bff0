"""What every command takes on its line: paths, help, and words in any order."""

import importlib
import os
import re
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from animclip_jax import export
from animclip_jax.cli.flags import VERBS
from animclip_jax.convert import WRITERS
from animclip_jax.models.transformer import ACTIVATIONS
from animclip_jax.options import convert as convert_options
from animclip_jax.options import export as export_options
from animclip_jax.options import prepare as prepare_options
from animclip_jax.options import search as search_options
from animclip_jax.options import serve as serve_options
from animclip_jax.weights.folder import FORMAT
from input_pipeline.store import making
from input_pipeline.store import videos as prepare_videos
from tests.repository import ROOT

# What each verb must be given, with every path that it takes as {}.
LINES = {
    "train": "--config=configs/common.py --workdir={}",
    "evaluate": "--workdir={} --out={} --against={}",
    "plan": "--config=configs/common.py --json={}",
    "prepare": "folder:x --out={} --cache-dir={}",
    "animate": "{} --out={}",
    "export": "{} --out={}",
    "convert": "{} --out={}",
    "index": "{} --model={} --out={}",
    "search": "{} --image={} --model={}",
    "serve": "{} --model={} --previews={}",
    "report": "{}",
}
HARD_NAMES = ["[a]", "{b,c}", "d,e", "f:g", "h i", "*", "ü", "-"]


def parse(verb: str, *words: str) -> dict[str, Any]:
    found = importlib.import_module(f"animclip_jax.options.{verb}").parse(list(words))
    values = found[0] if isinstance(found, tuple) else found
    if hasattr(values, "flag_values_dict"):
        return dict(values.flag_values_dict())
    return dict(vars(values))


def paths(options: dict[str, Any]) -> list[str]:
    listed = [one for v in options.values() for one in (v if isinstance(v, list) else [v])]
    return [str(one) for one in listed if isinstance(one, str | Path) and "over-there" in str(one)]


@pytest.mark.parametrize("verb", VERBS)
def test_every_path_of_every_verb_knows_the_home_folder(
    verb: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "over-there").mkdir()
    (tmp_path / "over-there" / "config.json").write_text("{}")
    words = LINES[verb].replace("{}", "~/over-there").split()
    found = paths(parse(verb, *words))
    assert len(found) >= LINES[verb].count("{}")
    assert set(found) == {f"{tmp_path}/over-there"}


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("name", HARD_NAMES)
def test_every_path_of_every_verb_is_taken_as_it_is_written(
    verb: str, name: str, tmp_path: Path
) -> None:
    folder = tmp_path / "over-there" / name
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    words = [word.replace("{}", str(folder)) for word in LINES[verb].split()]
    found = paths(parse(verb, *words))
    assert len(found) >= LINES[verb].count("{}") and set(found) == {str(folder)}


@pytest.mark.parametrize(
    "line",
    [
        "index gs://bucket/videos --model=m --out=index",
        "index videos --model=m --out=gs://bucket/index",
        "export run --out=gs://bucket/model",
    ],
)
def test_a_bucket_where_a_disk_is_wanted_is_told(line: str, capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit):
        parse(*line.split())
    assert re.search(r"gs://bucket/\w+: wanted a path on a disk", capsys.readouterr().err)


@pytest.mark.parametrize("verb", VERBS)
def test_help_is_quick_and_loads_neither_jax_nor_tensorflow(verb: str) -> None:
    code = (
        "import sys; from animclip_jax.cli.flags import main\n"
        f"try: main([{verb!r}, '--help'])\n"
        "except SystemExit: pass\n"
        "loaded = {'jax', 'tensorflow', 'flax', 'orbax', 'torch', 'av'} & set(sys.modules)\n"
        "sys.exit(str(loaded) if loaded else 0)"
    )
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    run = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert run.returncode == 0 and f"animclip {verb}" in run.stdout, run.stderr
    assert "SUPPRESS" not in run.stdout  # what argparse calls no default
    # CPU, not the clock: 0.1 to 0.3 s here, several seconds with JAX or TensorFlow.
    assert after.ru_utime - before.ru_utime < 0.5, "what does its help import?"


@pytest.mark.parametrize("verb", VERBS)
def test_help_has_one_style_and_dashes(verb: str, capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit) as end:
        parse(verb, "--help")
    usage, blank, what, *lines = capsys.readouterr().out.splitlines()
    assert end.value.code == 0 and usage.startswith(f"usage: animclip {verb} ") and not blank
    assert what[0].isupper() and what.split()[0].lower() == VERBS[verb].split()[0].lower()
    lines = [line for line in lines if line.startswith("  -") or line.startswith("  [")]
    options = [re.split(r"[= ]", line.strip())[0] for line in lines]
    assert options and all(re.fullmatch(r"--?(\[no-?\])?[a-z0-9-]+", name) for name in options)
    assert max(map(len, lines)) <= 102


@pytest.mark.parametrize(
    "words",
    [
        "train --config=configs/common.py --workdir=x --sweep --dry-run --other-data",
        "train --config=configs/common.py --workdir=x --noother-data --config.model.embed_dim=8",
        "prepare folder:a_b --out=y_z --cache-dir=z --max-bad 0.25",
        "plan --config=configs/common.py --config.batch_size=8",
        "serve x_y --max-waiting=3 --rerank-k 20 --allowed-host=a_b",
        "search x_y a_b --rerank-k 20 --coarse-only",
        "index x_y --model=a_b --out=c_d --no-shots --batch-size=3",
        "animate x_y.jpg --out=c_d.gif --num-frames=3 --show-path",
        "convert x_y --out=c_d --image-size 32",
        "export x_y --out=c_d --format=savedmodel --batch-size=2",
    ],
)
def test_underscores_are_read_as_dashes_in_options_alone(words: str) -> None:
    verb, *line = words.split()
    found = parse(verb, *line)
    dash = re.compile(r"(?<=[a-z])-(?=[a-z])")
    spelt = [dash.sub("_", word) if word.startswith("--") else word for word in line]
    assert spelt != line or verb == "plan"
    assert {k: str(v) for k, v in found.items()} == {
        k: str(v) for k, v in parse(verb, *spelt).items()
    }


@pytest.mark.parametrize("flag", [["-n", "2"], ["-n2"], ["--coarse-only"], ["--json"]])
def test_options_of_search_stand_before_and_behind_the_sentence(flag: list[str]) -> None:
    for words in (["index", *flag, "a red card"], [*flag, "index", "a red card"]):
        found = search_options.parse(words)
        assert (found.index, found.text) == (Path("index"), "a red card")
        assert found.n == 2 or found.coarse_only or found.format == "json"


@pytest.mark.parametrize(
    "token", ["short1", "with a blank 12345", "пароль1234567890", "№1234567890123456"]
)
def test_a_token_that_no_header_holds_is_an_error(
    token: str, capsys: pytest.CaptureFixture
) -> None:
    with pytest.raises(SystemExit) as end:
        serve_options.parse(["index", f"--token={token}"])
    assert end.value.code == 2 and "--token: wanted" in capsys.readouterr().err
    assert serve_options.parse(["index", "--token=0123456789abcdefXYZ"]).token


def test_a_token_may_stand_in_the_environment(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    kept, given = "0123456789abcdefXYZ", "another0123456789"
    monkeypatch.setenv("ANIMCLIP_TOKEN", kept)
    assert serve_options.parse(["index", "--host=0.0.0.0"]).token == kept
    assert serve_options.parse(["index", f"--token={given}"]).token == given
    monkeypatch.setenv("ANIMCLIP_TOKEN", "short")
    with pytest.raises(SystemExit):
        serve_options.parse(["index"])
    assert "--token: wanted" in capsys.readouterr().err


def test_choices_are_those_that_there_are() -> None:
    videos = prepare_videos.FrameSettings()
    assert videos.num_frames == prepare_options.NUM_FRAMES
    assert videos.quality == prepare_options.QUALITY
    assert making.Effort().max_bad == prepare_options.MAX_BAD
    assert list(export_options.FORMATS) == list(export.formats())
    assert set(convert_options.LAYOUTS) == {FORMAT, *WRITERS}
    assert set(convert_options.ACTIVATIONS) == set(ACTIVATIONS)
