"""Tests of animclip_jax/cli/flags.py."""

import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from absl import flags
from ml_collections import ConfigDict, config_flags

from animclip_jax.cli import flags as command_line
from tests.repository import ROOT

CONFIG = """
from ml_collections import ConfigDict


def get_config(size="3"):
    config = ConfigDict()
    config.steps = 1000
    config.dry = False
    config.name = "a"
    config.sizes = (1, 2)
    config.rates = (0.1,)
    config.nothing = None
    config.optimizer = ConfigDict({"learning_rate": 1e-3, "warmup_steps": 10})
    config.model = ConfigDict({"size": int(size)})
    config.copied = config.model.get_ref("size")
    return config


def sweep():
    return {"arm": {}}
"""


@pytest.fixture
def config_file(tmp_path: Path) -> Path:
    path = tmp_path / "experiment.py"
    path.write_text(CONFIG)
    return path


def define(values: flags.FlagValues) -> None:
    config_flags.DEFINE_config_file("config", None, "the experiment", flag_values=values)
    flags.DEFINE_string("workdir", None, "folder of this run", flag_values=values)
    flags.DEFINE_integer("top", 5, "how many", lower_bound=1, flag_values=values)
    flags.DEFINE_enum("mode", "fast", ["fast", "slow"], "which way", flag_values=values)
    flags.DEFINE_bool("sweep", False, "every arm", flag_values=values)
    flags.mark_flag_as_required("workdir", flag_values=values)


def parse(*argv: object) -> tuple[flags.FlagValues, list[str]]:
    return command_line.parse_flags(["--workdir=x", *map(str, argv)], "animclip train", define)


@pytest.fixture
def refused(capsys: pytest.CaptureFixture) -> Callable[..., str]:
    """Parses what must be refused, and returns the one line that says why."""

    def refuse(*argv: object) -> str:
        with pytest.raises(SystemExit) as end:
            parse(*argv)
        printed = capsys.readouterr()
        assert end.value.code == 2 and not printed.out
        (line,) = printed.err.splitlines()
        return line.removeprefix("animclip train: ")

    return refuse


def test_reads_a_configuration_and_what_is_changed_of_it(config_file: Path) -> None:
    values, left = parse(
        "one",
        f"--config={config_file}",
        "--config.steps",
        "7",
        "--config.dry",
        "--config.sizes=3,4,5",
        "--config.optimizer.learning_rate=3e-4",
        "--config.name=1",
        "--config.model.size=9",
        "--sweep",
        "two",
    )
    config = values.config
    assert (config.steps, config.dry, config.sizes, config.name) == (7, True, (3, 4, 5), "1")
    assert config.optimizer.learning_rate == 3e-4 and config.optimizer.warmup_steps == 10
    assert config.copied == 9, "a setting that follows another one follows its change"
    assert left == ["one", "two"] and values.sweep and values.workdir == "x"
    assert command_line.overrides(values) == {
        "steps": 7,
        "dry": True,
        "sizes": (3, 4, 5),
        "optimizer.learning_rate": 3e-4,
        "name": "1",
        "model.size": 9,
    }
    assert command_line.config_module(values).sweep() == {"arm": {}}
    with pytest.raises(AttributeError):
        config.setps = 3


def test_parsing_twice_shares_nothing(config_file: Path) -> None:
    before = sys.argv
    changed, _ = parse(f"--config={config_file}", "--config.steps=7")
    plain, _ = parse(f"--config={config_file}")
    assert (changed.config.steps, plain.config.steps) == (7, 1000)
    assert command_line.overrides(plain) == {}
    assert sys.argv is before


def test_without_a_configuration_nothing_is_overridden() -> None:
    values, _ = parse()
    assert values.config is None and command_line.overrides(values) == {}


def test_repeating_a_tuple_collects_and_no_negates(config_file: Path) -> None:
    values, _ = parse(f"--config={config_file}", "--config.sizes=4", "--config.sizes=5")
    assert values.config.sizes == (4, 5)
    values, _ = parse(f"--config={config_file}", "--config.rates=(1, 0.5)", "--noconfig.dry")
    assert values.config.rates == (1, 0.5) and values.config.dry is False


def test_passes_on_what_stands_behind_the_colon(config_file: Path) -> None:
    values, _ = parse(f"--config={config_file}:12")
    assert values.config.model.size == 12


@pytest.mark.parametrize(
    "given, said",
    [
        (
            "--config.optimizer.lerning_rate=1",
            "no such setting; did you mean optimizer.learning_rate?",
        ),
        ("--config.learning_rate=1", "no such setting; did you mean optimizer.learning_rate?"),
        (
            "--config.optimizer.zzz=1",
            "no such setting; there are optimizer.learning_rate, optimizer.warmup_steps",
        ),
        ("--config.steps.x=1", "steps is 1000, nothing is below it"),
        ("--config.optimizer={}", "holds several settings, choose one: learning_rate, warm"),
        ("--config.nothing=1", "NoneType None can only be changed in the file"),
        ("--noconfig.steps", "--no works for true/false settings only; this is 1000"),
        ("--config.steps", "needs a value"),
    ],
)
def test_refuses_a_setting(
    config_file: Path, refused: Callable[..., str], given: str, said: str
) -> None:
    line = refused(f"--config={config_file}", given)
    assert line.startswith(f"{given.split('=')[0]}: {said}")


@pytest.mark.parametrize(
    "given, wanted",
    [
        ("--config.steps=abc", "a whole number such as 1000"),
        ("--config.steps=1.5", "a whole number such as 1000"),
        ("--config.optimizer.learning_rate=fast", "a number such as 0.001"),
        ("--config.dry=maybe", "true or false, such as False"),
        ("--config.sizes=abc", "a tuple such as (1, 2)"),
        ("--config.sizes=(1, 0.5)", "a tuple such as (1, 2)"),
        ("--config.sizes=(1,", "a tuple such as (1, 2)"),
    ],
)
def test_refuses_a_value(
    config_file: Path, refused: Callable[..., str], given: str, wanted: str
) -> None:
    assert refused(f"--config={config_file}", given) == f"{given}: expected {wanted}"


def test_refuses_an_order_that_would_mislead(config_file: Path, refused: Callable) -> None:
    config = f"--config={config_file}"
    assert "must come after" in refused("--config.steps=1", config)
    assert "needs --config=FILE before it" in refused("--config.steps=1")
    assert "given twice" in refused(config, config)
    # absl would set dry and hand on "False" as a file name.
    assert "write = between" in refused(config, "--config.dry", "False")


def test_refuses_flags(refused: Callable) -> None:
    assert refused("--wokdir=x") == "--wokdir: no such flag; did you mean --workdir?"
    assert refused("--zzzzzz=x").startswith("--zzzzzz: no such flag; there are --config, --workdir")
    assert refused("--top=abc").startswith("--top=abc: ")
    assert refused("--top=0").endswith("how many)")
    assert "<fast|slow>" in refused("--mode=x")
    assert refused("--nosweep=1").startswith("--nosweep=1")


def test_names_a_required_flag_that_is_missing(capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit):
        command_line.parse_flags([], "animclip train", define)
    assert "--workdir is missing: folder of this run" in capsys.readouterr().err


def test_refuses_a_configuration_that_is_not_there(refused: Callable, tmp_path: Path) -> None:
    assert refused("--config=configs/quikstart.py").endswith("did you mean configs/quickstart.py?")
    assert "no such file" in refused(f"--config={tmp_path}")
    assert "no such file" in refused("--config=")


@pytest.mark.parametrize(
    "text, line, said",
    [
        ("import os\n\ndef get_config(:\n", 3, "SyntaxError: invalid syntax"),
        ("def get_config():\n    return 1 + nothing\n", 2, "NameError: name 'nothing'"),
        ("import json\ndef get_config():\n    json.loads('[')\n", 3, "JSONDecodeError: Expecting"),
        ("import missing_module\n", 1, "ModuleNotFoundError: No module named"),
    ],
)
def test_shows_where_a_configuration_fails(
    refused: Callable, tmp_path: Path, text: str, line: int, said: str
) -> None:
    path = tmp_path / "broken.py"
    path.write_text(text)
    shown = refused(f"--config={path}")
    assert f"{path}, line {line}" in shown and said in shown


def test_a_configuration_may_have_a_colon_in_its_name(
    config_file: Path, refused: Callable, tmp_path: Path
) -> None:
    named = tmp_path / "10:30.py"
    config_file.rename(named)
    assert parse(f"--config={named}")[0].config.model.size == 3
    assert parse(f"--config={named}:7")[0].config.model.size == 7
    assert f"{tmp_path / '11'}: no such file" in refused(f"--config={tmp_path / '11'}:30.py")


def test_refuses_a_file_that_is_no_configuration(
    config_file: Path, refused: Callable, tmp_path: Path
) -> None:
    path = tmp_path / "other.py"
    path.write_text("")
    assert "has no get_config()" in refused(f"--config={path}")
    path.write_text("def get_config():\n    return {}\n")
    assert "returned dict, wanted a ConfigDict" in refused(f"--config={path}")
    assert "with no :NAME after it" in refused(f"--config={path}:x")
    path.write_text("def get_config(name):\n    return {}\n")
    assert "other.py:NAME" in refused(f"--config={path}")


def test_finds_the_configurations_that_ship_from_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert "steps" in parse("--config=configs/common.py")[0].config
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "common.py").write_text(CONFIG)
    assert parse("--config=configs/common.py")[0].config.copied == 3, "the nearer one comes first"


def test_a_configuration_imports_its_neighbours_and_those_that_ship(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "configs" / "deep"
    folder.mkdir(parents=True)
    path = folder / "mine.py"
    path.write_text(
        "from configs import common, theirs\n\n\ndef get_config():\n"
        "    config = common.get_config()\n    config.steps = theirs.STEPS\n    return config\n"
    )
    for steps in (11, 12):
        (tmp_path / "configs" / "theirs.py").write_text(f"STEPS = {steps}\n" + "#" * steps)
        assert parse(f"--config={path}")[0].config.steps == steps
    held = {name for name in sys.modules if name.split(".")[0] == "configs"}
    assert "configs.theirs" not in held
    shipped = parse("--config=configs/experiments/finetune.py")[0]
    assert "sweep" in vars(command_line.config_module(shipped))


def define_from_dict(values: flags.FlagValues) -> None:
    config = ConfigDict({"steps": 3, "data": {"eval": "drawn:val"}})
    config_flags.DEFINE_config_dict("config", config, flag_values=values)


def test_changes_a_configuration_that_is_no_file(capsys: pytest.CaptureFixture) -> None:
    argv = ["--config.data.eval=drawn:test"]
    values, _ = command_line.parse_flags(argv, "animclip evaluate", define_from_dict)
    assert values.config.data.eval == "drawn:test" and values.config.steps == 3
    assert command_line.overrides(values) == {"data.eval": "drawn:test"}
    values, _ = command_line.parse_flags([], "animclip evaluate", define_from_dict)
    assert values.config.data.eval == "drawn:val" and command_line.overrides(values) == {}
    for argv, said in (
        (["--config.data.evl=x"], "did you mean data.eval?"),
        (["--config.steps=x"], "expected a whole number"),
        (["--config=configs/common.py"], "the configuration is given here already"),
    ):
        with pytest.raises(SystemExit):
            command_line.parse_flags(argv, "animclip evaluate", define_from_dict)
        assert said in capsys.readouterr().err


def test_what_another_program_was_started_with_changes_nothing(
    config_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["other", "--config.steps=5", "--config.typo=1", "--x"])
    values, _ = command_line.parse_flags(["--config.steps=4"], "animclip x", define_from_dict)
    assert values.config.steps == 4
    assert parse(f"--config={config_file}")[0].config.steps == 1000


def test_what_define_raises_is_shown(capsys: pytest.CaptureFixture) -> None:
    def missing(values: flags.FlagValues) -> None:
        raise FileNotFoundError("runs/x/config.json is missing")

    with pytest.raises(SystemExit):
        command_line.parse_flags([], "animclip evaluate", missing)
    assert capsys.readouterr().err == "animclip evaluate: runs/x/config.json is missing\n"


def test_early_value() -> None:
    assert command_line.early_value(["a", "--workdir=b=c"], "workdir") == "b=c"
    assert command_line.early_value(["--workdir", "b"], "workdir") == "b"
    assert command_line.early_value(["--workdir"], "workdir") is None
    assert command_line.early_value(["--workdirs=b"], "workdir") is None


def test_help_lists_flags_and_settings(config_file: Path, capsys: pytest.CaptureFixture) -> None:
    for argv, ends in (([], 0), ([f"--config={config_file}"], 0), (["--config=nope.py"], 2)):
        with pytest.raises(SystemExit) as end:
            command_line.parse_flags([*argv, "--help"], "animclip train", define)
        assert end.value.code == ends
    shown = capsys.readouterr().out
    assert "--workdir=STRING" in shown and "folder of this run" in shown
    assert "  --[no]sweep" in shown and "how many (default 5)" in shown
    assert shown.count("  optimizer.learning_rate = 0.001") == 1


def test_verbs_are_modules_with_a_main() -> None:
    for verb in command_line.VERBS:
        assert getattr(command_line.load(verb), "__name__", None) == "main", verb


def test_runs_a_verb(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    class Report:
        @staticmethod
        def main(argv: list[str]) -> int:
            seen.append(argv)
            return 7

    monkeypatch.setitem(sys.modules, "animclip_jax.report", Report)
    assert command_line.main(["report", "runs/x", "--y"]) == 7
    assert seen == [["runs/x", "--y"]]


def test_an_unknown_verb_is_refused_with_the_nearest(capsys: pytest.CaptureFixture) -> None:
    assert command_line.main(["trian"]) == 2
    assert "no verb 'trian'; did you mean train?" in capsys.readouterr().err


def test_listing_the_verbs_is_quick_and_loads_neither_jax_nor_tensorflow(tmp_path: Path) -> None:
    code = (
        "import sys; from animclip_jax.cli.flags import main; main([]); "
        "sys.exit(len({'jax', 'tensorflow', 'numpy'} & set(sys.modules)))"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    run = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True)
    assert run.returncode == 0, run.stderr
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before < 0.5
    command = [sys.executable, "-m", "animclip_jax", "--help"]
    shown = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert shown.returncode == 0
    assert all(f"  {verb} " in shown.stdout for verb in command_line.VERBS)
