"""The command `animclip VERB ...`: its verbs, and how they read their flags and configurations."""

import contextlib
import importlib
import inspect
import os
import re
import sys
import traceback
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Any

from absl import flags
from ml_collections import ConfigDict
from ml_collections.config_flags import config_flags

from animclip_jax.cli.overrides import Refused, all_settings, check_override, nearest, overrides_in
from animclip_jax.cli.parser import dashed, page, written
from animclip_jax.cli.signals import Main, stoppable

# Every verb is a module of the package, with `main(argv: list[str] | None) -> int`.
VERBS = {
    "train": "train on animated pictures, then evaluate",
    "evaluate": "search captioned videos with a trained model and score it",
    "plan": "predict whether a configuration fits some devices, and what a step costs",
    "prepare": "decode videos or shrink pictures once, into a store that training reads",
    "animate": "film a photo as training does, as a clip or a sheet of its frames",
    "export": "write a trained model in a format that other software reads",
    "convert": "convert published weights (CLIP, PE-Core, SigLIP, VideoPrism) to ours, or back",
    "index": "make a folder of videos searchable, or bring its index up to date",
    "search": "find moments of indexed videos by a sentence, a picture or a video",
    "serve": "search an index in the browser",
    "report": "gather the results of a run or a sweep into one page",
}
# Of another name than its verb: `animclip_jax.animate` is a function for Python programs.
_MODULES = {"animate": "animate_photo"}
# The configurations that ship: inside the package where it is installed, beside it in a checkout.
_PACKAGE = Path(__file__).resolve().parents[1]
_SHIPPED = next(
    (root for root in (_PACKAGE, _PACKAGE.parent) if (root / "configs").is_dir()), _PACKAGE
)
_HELP = {"-h", "--help", "-help", "--helpfull"}


@stoppable("animclip")
def main(argv: list[str] | None = None) -> int:
    """Runs one verb and returns its exit code; lists the verbs where none is given."""
    arguments = sys.argv[1:] if argv is None else argv
    if not arguments or arguments[0] in _HELP:
        verbs = "\n".join(f"  {verb:<10} {line}" for verb, line in VERBS.items())
        print(
            f"usage: animclip VERB ...\n\n{verbs}\n\n`animclip VERB --help` lists its options, "
            "`animclip --version` says which version this is."
        )
        return 0
    if arguments == ["--version"]:
        print(f"animclip {metadata.version('animclip-jax')}")
        return 0
    verb = arguments[0]
    if verb not in VERBS:
        print(f"animclip: no verb {verb!r}; {nearest(verb, VERBS)}", file=sys.stderr)
        return 2
    if _HELP & set(arguments):
        # Without the verb itself, which imports all that it works with.
        importlib.import_module(f"animclip_jax.options.{verb}").parse(arguments[1:])
    try:
        run = load(verb)
    except OSError as error:  # TensorFlow needs a folder for temporary files as it is imported
        print(f"animclip {verb}: {error}", file=sys.stderr)
        return 1
    except ModuleNotFoundError as error:
        return _lacking(verb, error)
    try:
        return run(arguments[1:])
    except ModuleNotFoundError as error:
        return _lacking(verb, error)


def _lacking(verb: str, error: ModuleNotFoundError) -> int:
    """Says that TensorFlow is missing, which the base installation does without."""
    if error.name != "tensorflow":
        raise error
    print(f"animclip {verb}: {error}", file=sys.stderr)
    return 1


def load(verb: str) -> Main:
    """The main function of a verb."""
    return importlib.import_module(module(verb)).main


def module(verb: str) -> str:
    """The name of a verb's module."""
    return f"animclip_jax.{_MODULES.get(verb, verb)}"


def parse_flags(
    argv: list[str] | None,
    program: str,
    define: Callable[[flags.FlagValues], None],
    *words: str,
) -> tuple[flags.FlagValues, list[str]]:
    """Reads a verb's flags, and its configuration with the settings changed on the command line.

    Args:
      argv: without the program's name; None takes sys.argv's.
      program: as in "animclip train".
      define: defines the flags into the empty FlagValues it is given, configurations by
        `config_flags.DEFINE_config_file` or `DEFINE_config_dict` (`flag_values=` that object). An
        OSError or ValueError it raises is shown like a wrong flag.
      words: what else the line may hold, as the help names it.

    Returns:
      the parsed flags, and the arguments that are no flags.

    Raises:
      SystemExit: 2 after saying on stderr what is wrong, 0 after printing the help.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    values = flags.FlagValues()
    try:
        return values, _parse(values, arguments, program, define, words)
    except Refused as error:
        print(f"{program}: {error}", file=sys.stderr)
    except flags.Error as error:
        print(f"{program}: {_explain(error, values)}", file=sys.stderr)
    raise SystemExit(2)


def early_value(argv: list[str] | None, name: str) -> str | None:
    """A flag's text, for who must know it before the flags are defined; None where not given."""
    arguments = sys.argv[1:] if argv is None else argv
    for index, argument in enumerate(arguments):
        if match := re.fullmatch(rf"--?{re.escape(name)}(?:=(.*))?", argument, re.DOTALL):
            return match[1] if match[1] is not None else next(iter(arguments[index + 1 :]), None)
    return None


def overrides(values: flags.FlagValues) -> dict[str, Any]:
    """The settings changed on the command line: "optimizer.learning_rate" -> its new value."""
    changed: dict[str, Any] = {}
    for flag in _config_flags(values):
        if flag.value is not None:
            changed |= flag.override_values
    return changed


def config_module(values: flags.FlagValues, name: str = "config") -> ModuleType:
    """The module a configuration was read from, for what else it holds, such as `sweep()`."""
    parser = values[name].parser
    assert isinstance(parser, _ConfigParser) and parser.module is not None
    return parser.module


def _parse(
    values: flags.FlagValues,
    arguments: list[str],
    program: str,
    define: Callable[[flags.FlagValues], None],
    words: tuple[str, ...],
) -> list[str]:
    # The overrides stay hidden at first: absl would parse them as soon as a flag has a default,
    # with its own error messages.
    with _as_sys_argv([program]):
        try:
            define(values)
        except (OSError, ValueError) as error:
            raise Refused(str(error)) from error
    arguments = values.read_flags_from_files(arguments, force_gnu=False)
    arguments = written(
        arguments,
        lambda name: name in values or name.removeprefix("no") in values,
        lambda name: name.replace("-", "_"),
    )
    configs = _config_flags(values)
    if _HELP & set(arguments):
        for flag in configs:
            flag.parser = _ConfigParser(flag, [])
        print(_help(values, arguments, program, words))
        raise SystemExit(0)
    with _as_sys_argv([program, *arguments]):
        for flag in configs:
            _check_order(flag, arguments)
            flag.parser = _ConfigParser(flag, arguments)
            if flag.default_unparsed is not None:
                values.set_default(flag.name, flag.default_unparsed)
        try:
            return values([program, *arguments])[1:]
        except ValueError as error:
            raise Refused(str(error)) from error


@contextlib.contextmanager
def _as_sys_argv(arguments: list[str]) -> Iterator[None]:
    """config_flags looks for overrides in sys.argv, whatever is being parsed."""
    before, sys.argv = sys.argv, arguments
    try:
        yield
    finally:
        sys.argv = before


def _config_flags(values: flags.FlagValues) -> list[Any]:
    return [values[name] for name in values if config_flags.is_config_flag(values[name])]


class _ConfigParser(flags.ArgumentParser):
    """Takes the place of config_flags' parser, whose errors are tracebacks.

    The configuration comes back locked, and every override in `arguments` fits it.
    """

    def __init__(self, flag: Any, arguments: list[str]) -> None:
        self.flag = flag
        self.arguments = arguments
        self.module: ModuleType | None = None

    def parse(self, argument: str | ConfigDict) -> ConfigDict:
        if isinstance(argument, ConfigDict):
            config = argument
        elif isinstance(self.flag.default_unparsed, ConfigDict):
            raise Refused(
                f"--{self.flag.name}={argument}: the configuration is given here already; change "
                f"single settings by --{self.flag.name}.NAME=VALUE"
            )
        else:
            self.module, config = _load(f"--{self.flag.name}", argument)
        config.lock()
        for given in overrides_in(self.flag.name, self.arguments):
            check_override(config, given)
        return config

    def flag_type(self) -> str:
        return "FILE"


def _load(flag: str, argument: str) -> tuple[ModuleType, ConfigDict]:
    """Runs a configuration file, FILE or FILE:NAME, where NAME is what get_config() is given."""
    name, parameters = _file_and_parameters(argument)
    path = _find(flag, name)
    module = ModuleType(path.stem)
    module.__file__ = str(path)
    try:
        with _neighbours_of(path):
            exec(compile(path.read_bytes(), path, "exec"), module.__dict__)
            get_config = getattr(module, "get_config", None)
            if get_config is None:
                raise Refused(f"{flag}={argument}: {path} has no get_config()")
            try:
                inspect.signature(get_config).bind(*parameters)
            except TypeError:
                wanted = f"{name}:NAME" if not parameters else f"{name} with no :NAME after it"
                raise Refused(f"{flag}={argument}: get_config() there needs {wanted}") from None
            config = get_config(*parameters)
    except Refused:
        raise
    except Exception as error:
        what = error.msg if isinstance(error, SyntaxError) else error
        kind = type(error).__name__
        raise Refused(f"{flag}={argument}: {_place(error, path)}: {kind}: {what}") from error
    if not isinstance(config, ConfigDict):
        found = type(config).__name__
        raise Refused(f"{flag}={argument}: get_config() returned {found}, wanted a ConfigDict")
    return module, config


@contextlib.contextmanager
def _neighbours_of(path: Path) -> Iterator[None]:
    """Lets a configuration import others, as in `from configs import quickstart`.

    No package `configs` is installed. While the file runs, `configs` is the folder of that name
    which holds it, and then the one that ships.
    """
    folders = [parent for parent in path.parents if parent.name == "configs"][:1]
    package = ModuleType("configs")
    package.__path__ = [str(folder) for folder in (*folders, _SHIPPED / "configs")]
    before = _modules_of_configs()
    for name in before:
        del sys.modules[name]
    sys.modules["configs"] = package
    try:
        yield
    finally:
        for name in _modules_of_configs():
            del sys.modules[name]
        sys.modules.update(before)


def _modules_of_configs() -> dict[str, ModuleType]:
    return {name: held for name, held in sys.modules.items() if name.split(".")[0] == "configs"}


def _file_and_parameters(argument: str) -> tuple[str, list[str]]:
    """FILE and [], or FILE and [NAME]; a file may have a colon in its name, the longest counts."""
    for end in (len(argument), *(m.start() for m in reversed([*re.finditer(":", argument)]))):
        if _files_of(argument[:end]):
            return argument[:end], [argument[end + 1 :]] if end < len(argument) else []
    name, *parameters = argument.split(":", 1)
    return name, parameters


def _files_of(name: str) -> list[Path]:
    """The file, then the one that ships under that name; those that there are."""
    given = Path(os.path.expanduser(name))
    shipped = [_SHIPPED / given] if given.parts[:1] == ("configs",) else []
    return [path for path in (given, *shipped) if path.is_file()]


def _find(flag: str, name: str) -> Path:
    """The file, or the one that ships under that name where the folder here has none."""
    if found := _files_of(name):
        return found[0].resolve()
    there = (_SHIPPED / "configs").glob("[!_]*.py")
    names = sorted(f"configs/{path.name}" for path in there)
    raise Refused(f"{flag}={name}: no such file; {nearest(name, names)}")


def _place(error: Exception, path: Path) -> str:
    """File and line: the configuration's last one on the way to the error, and where it ended."""
    if isinstance(error, SyntaxError):
        return f"{error.filename}, line {error.lineno}"
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if frame.filename == str(path)]
    ended = f"{frames[-1].filename}, line {frames[-1].lineno}"
    if not own or own[-1] is frames[-1]:
        return ended
    return f"{path}, line {own[-1].lineno} (raised in {ended})"


def _check_order(flag: Any, arguments: list[str]) -> None:
    """One --config at most, and before its overrides: config_flags obeys no other order."""
    given = re.compile(rf"--?{re.escape(flag.name)}(=|$)")
    where = [index for index, argument in enumerate(arguments) if given.match(argument)]
    change = next(overrides_in(flag.name, arguments), None)
    if len(where) > 1:
        raise Refused(f"--{flag.name} is given twice")
    if change and not where and flag.default_unparsed is None:
        raise Refused(f"{change.flag}: needs --{flag.name}=FILE before it")
    if change and where and next(overrides_in(flag.name, arguments[: where[0]]), None):
        raise Refused(f"{change.flag}: must come after {arguments[where[0]]}")


def _explain(error: flags.Error, values: flags.FlagValues) -> str:
    """absl's error in words that also say what was wanted."""
    if isinstance(error, flags.UnrecognizedFlagError):
        names = [f"--{dashed(name)}" for name in values if "." not in name]
        return f"--{error.flagname}: no such flag; {nearest(f'--{error.flagname}', names)}"
    reasons = []
    for line in str(error).splitlines():
        match = re.match(r"flag --([^=]+)=(.*?): (.*)", line)
        if match is None or match[1] not in values:
            reasons.append(line)
        elif values[match[1]].value is None and match[2] == "None":
            reasons.append(f"--{dashed(match[1])} is missing: {values[match[1]].help}")
        else:
            flag = values[match[1]]
            wanted = f"expected {flag.flag_type()}: {flag.help}"
            reasons.append(f"--{dashed(match[1])}={match[2]}: {match[3]} ({wanted})")
    return "; ".join(reasons)


def _required(values: flags.FlagValues) -> list[str]:
    """The flags that a command line must give."""
    try:
        values.validate_all_flags()
    except flags.Error as error:
        return re.findall(r"flag --(\w+)=None", str(error))
    return []


def _help(
    values: flags.FlagValues, arguments: list[str], program: str, words: tuple[str, ...]
) -> str:
    """What a verb does, its flags, and the settings of the configuration where one is given."""
    rows, needed = [], [*words]
    for name in values:
        flag = values[name]
        kind = flag.flag_type().split()[-1].upper()
        left = f"--[no]{dashed(name)}" if flag.boolean else f"--{dashed(name)}={kind}"
        plain = not flag.boolean and not config_flags.is_config_flag(flag)
        default = f" (default {flag.default})" if plain and flag.default not in (None, []) else ""
        explained = flag.help.partition(";\n")[0]  # absl adds how a list is given
        rows.append((left, explained + default))
        if name in _required(values):
            needed.append(left)
    what = VERBS.get(program.split()[-1], "")
    lines = [page(program, needed, f"{what[:1].upper()}{what[1:]}.", rows).rstrip()]
    for flag in _config_flags(values):
        path = early_value(arguments, flag.name) or flag.default_unparsed
        if path is None:
            lines.append(f"\n--{flag.name}=FILE --help lists the settings of that configuration")
            continue
        lines.append(f"\n--{flag.name}.NAME=VALUE changes one of its settings:")
        lines += [f"  {name} = {value!r}" for name, value in all_settings(flag.parser.parse(path))]
    return "\n".join(lines)
