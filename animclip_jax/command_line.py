"""The command `animclip VERB ...`: its verbs, and how they read their flags and configurations."""

import contextlib
import difflib
import importlib
import inspect
import re
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from absl import flags
from ml_collections import ConfigDict
from ml_collections.config_flags import config_flags, tuple_parser

# Every verb is a module beside this one with `main(argv: list[str] | None) -> int`.
VERBS = {
    "train": "train on animated pictures, then evaluate",
    "evaluate": "search captioned videos with a trained model and score it",
    "plan": "tell whether a configuration fits a TPU slice, what a step costs and what limits it",
    "prepare": "decode videos once, into a store that training reads",
    "animate": "film a photo as training does, into a .gif, an .mp4 or a contact sheet",
    "export": "write a trained model in a form that others read",
    "convert": "turn published CLIP weights into ours, or ours into Hugging Face's layout",
    "report": "gather the results of a run or a sweep into one page",
}
# What holds the packages: the checkout, or site-packages.
_ROOT = Path(__file__).resolve().parents[1]
_HELP = {"-h", "--help", "-help", "--helpfull"}


class _Refused(Exception):
    """What a person wrote on the command line is wrong; the text is meant for them."""


def main(argv: list[str] | None = None) -> int:
    """Runs one verb and returns its exit code; lists the verbs where none is given."""
    arguments = sys.argv[1:] if argv is None else argv
    if not arguments or arguments[0] in _HELP:
        verbs = "\n".join(f"  {verb:<10} {line}" for verb, line in VERBS.items())
        print(f"usage: animclip VERB ...\n\n{verbs}\n\n`animclip VERB --help` tells the rest.")
        return 0
    verb = arguments[0]
    if verb not in VERBS:
        print(f"animclip: no verb {verb!r}; {_nearest(verb, VERBS)}", file=sys.stderr)
        return 2
    return importlib.import_module(f"animclip_jax.{verb}").main(arguments[1:])


def parse_flags(
    argv: list[str] | None, program: str, define: Callable[[flags.FlagValues], None]
) -> tuple[flags.FlagValues, list[str]]:
    """Reads a verb's flags, and its configuration with the settings changed on the command line.

    Args:
      argv: without the program's name; None takes sys.argv's.
      program: as in "animclip train".
      define: defines the flags into the empty FlagValues it is given, configurations by
        `config_flags.DEFINE_config_file` or `DEFINE_config_dict` (`flag_values=` that object). An
        OSError or ValueError it raises is shown like a wrong flag.

    Returns:
      the parsed flags, and the arguments that are no flags.

    Raises:
      SystemExit: 2 after saying on stderr what is wrong, 0 after printing the help.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    values = flags.FlagValues()
    try:
        return values, _parse(values, arguments, program, define)
    except _Refused as error:
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
) -> list[str]:
    # The overrides stay hidden at first: a flag with a default would check them at once, its way.
    with _as_sys_argv([program]):
        try:
            define(values)
        except (OSError, ValueError) as error:
            raise _Refused(str(error)) from error
    arguments = values.read_flags_from_files(arguments, force_gnu=False)
    configs = _config_flags(values)
    if _HELP & set(arguments):
        for flag in configs:
            flag.parser = _ConfigParser(flag, [])
        print(_help(values, arguments, program))
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
            raise _Refused(str(error)) from error


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
            raise _Refused(
                f"--{self.flag.name}={argument}: the configuration is given here already; change "
                f"single settings by --{self.flag.name}.NAME=VALUE"
            )
        else:
            self.module, config = _load(f"--{self.flag.name}", argument)
        config.lock()
        for given in _overrides_in(self.flag.name, self.arguments):
            _check_override(config, given)
        return config

    def flag_type(self) -> str:
        return "FILE"


def _load(flag: str, argument: str) -> tuple[ModuleType, ConfigDict]:
    """Runs a configuration file, FILE or FILE:NAME, where NAME is what get_config() is given."""
    name, *parameters = argument.split(":", 1)
    path = _find(flag, name)
    module = ModuleType(path.stem)
    module.__file__ = str(path)
    try:
        exec(compile(path.read_bytes(), path, "exec"), module.__dict__)
        get_config = getattr(module, "get_config", None)
        if get_config is None:
            raise _Refused(f"{flag}={argument}: {path} has no get_config()")
        try:
            inspect.signature(get_config).bind(*parameters)
        except TypeError:
            wanted = f"{name}:NAME" if not parameters else f"{name} with no :NAME behind it"
            raise _Refused(f"{flag}={argument}: get_config() there wants {wanted}") from None
        config = get_config(*parameters)
    except _Refused:
        raise
    except Exception as error:
        what = error.msg if isinstance(error, SyntaxError) else error
        kind = type(error).__name__
        raise _Refused(f"{flag}={argument}: {_place(error, path)}: {kind}: {what}") from error
    if not isinstance(config, ConfigDict):
        found = type(config).__name__
        raise _Refused(f"{flag}={argument}: get_config() returned {found}, wanted a ConfigDict")
    return module, config


def _find(flag: str, name: str) -> Path:
    """The file, or the one that ships under that name where the folder here has none."""
    given = Path(name).expanduser()
    shipped = [_ROOT / given] if given.parts[:1] == ("configs",) else []
    for path in (given, *shipped):
        if path.is_file():
            return path.resolve()
    there = (_ROOT / "configs").glob("[!_]*.py")
    names = sorted(f"configs/{path.name}" for path in there)
    raise _Refused(f"{flag}={name}: no such file; {_nearest(name, names)}")


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


class _Override(NamedTuple):
    """One argument that changes a setting of a configuration."""

    flag: str  # as written, such as --config.optimizer.learning_rate
    setting: str
    negated: bool  # --noconfig.NAME
    text: str | None  # behind "="
    following: str | None  # the next argument, the value where there is no "="


def _overrides_in(name: str, arguments: list[str]) -> Iterator[_Override]:
    pattern = re.compile(rf"(--?(no)?{re.escape(name)}\.([^=]*))(?:=(.*))?", re.DOTALL)
    for index, argument in enumerate(arguments):
        if match := pattern.fullmatch(argument):
            flag, negated, setting, text = match.groups()
            following = arguments[index + 1] if index + 1 < len(arguments) else None
            yield _Override(flag, setting, bool(negated), text, following)


def _check_order(flag: Any, arguments: list[str]) -> None:
    """One --config at most, and before its overrides: config_flags obeys no other order."""
    given = re.compile(rf"--?{re.escape(flag.name)}(=|$)")
    where = [index for index, argument in enumerate(arguments) if given.match(argument)]
    change = next(_overrides_in(flag.name, arguments), None)
    if len(where) > 1:
        raise _Refused(f"--{flag.name} is given twice")
    if change and not where and flag.default_unparsed is None:
        raise _Refused(f"{change.flag}: needs --{flag.name}=FILE before it")
    if change and where and next(_overrides_in(flag.name, arguments[: where[0]]), None):
        raise _Refused(f"{change.flag}: must come after {arguments[where[0]]}")


def _check_override(config: ConfigDict, given: _Override) -> None:
    """Refuses a setting that is not there and a value that is not of its type."""
    kind, value = _setting(config, given)
    text = given.text
    if kind not in _WANTED:
        raise _Refused(f"{given.flag}: {kind.__name__} {value!r} can only be changed in the file")
    if kind is bool:
        if given.text is None and str(given.following).lower() in ("true", "false"):
            raise _Refused(f"{given.flag} {given.following}: write = between the two")
        if given.negated and given.text is not None:
            raise _Refused(f"{given.flag}={given.text}: takes no value")
        text = "true" if text is None else text
    elif given.negated:
        raise _Refused(f"{given.flag}: only a yes or no can be negated, this is {value!r}")
    else:
        text = given.following if text is None else text
    if text is None:
        raise _Refused(f"{given.flag}: wants a value, {_WANTED[kind]} such as {value!r}")
    if not _fits(kind, value, text):
        raise _Refused(f"{given.flag}={text}: wants {_WANTED[kind]} such as {value!r}")


# The types a setting can have on the command line, as a person would call them.
_WANTED = {
    bool: "true or false,",
    int: "a whole number",
    float: "a number",
    str: "a text",
    tuple: "a tuple",
}
_PARSERS: dict[type, flags.ArgumentParser] = {
    bool: flags.BooleanParser(),
    int: flags.IntegerParser(),
    float: flags.FloatParser(),
}


def _fits(kind: type, value: Any, text: str) -> bool:
    """Whether config_flags makes of a text what may stand in place of a value."""
    try:
        if kind is tuple:
            allowed = {type(element) for element in value or ()}
            allowed |= {int} if float in allowed else set()
            elements = tuple_parser.TupleParser().parse(text)
            return not allowed or all(type(element) in allowed for element in elements)
        if kind is not str:
            _PARSERS[kind].parse(text)
    except ValueError:
        return False
    return True


def _setting(config: ConfigDict, given: _Override) -> tuple[type, Any]:
    """The type and the value of the setting that an override names."""
    above: list[str] = []
    holder, value, name = config, config, ""
    for name in given.setting.split("."):
        if not isinstance(value, ConfigDict):
            raise _Refused(f"{given.flag}: {'.'.join(above)} is {value!r}, nothing is below it")
        if name not in value:
            raise _Refused(
                f"{given.flag}: no such setting; {_nearest_setting(config, above, name)}"
            )
        holder, value = value, value[name]
        above.append(name)
    if isinstance(value, ConfigDict):
        raise _Refused(f"{given.flag}: holds several settings, choose one: {', '.join(value)}")
    return holder.get_type(name), value


def _settings(config: ConfigDict, above: str = "") -> Iterator[tuple[str, Any]]:
    """Every setting by its full name."""
    for name, value in config.items():
        if isinstance(value, ConfigDict):
            yield from _settings(value, f"{above}{name}.")
        else:
            yield above + name, value


def _nearest_setting(config: ConfigDict, above: list[str], name: str) -> str:
    """A name that is spelled nearly so on the same level, or a like one elsewhere, or the level."""
    level = config
    for part in above:
        level = level[part]
    beside = {other: ".".join([*above, other]) for other in level}
    elsewhere = {path.split(".")[-1]: path for path, _ in _settings(config)}
    for names, likeness in ((beside, 0.6), (elsewhere, 0.75)):
        if near := difflib.get_close_matches(name, names, 1, likeness):
            return f"did you mean {names[near[0]]}?"
    return f"there are {', '.join(beside.values())}"


def _nearest(given: str, possible: Iterable[str]) -> str:
    if near := difflib.get_close_matches(given, possible, 1):
        return f"did you mean {near[0]}?"
    return f"there are {', '.join(possible)}"


def _explain(error: flags.Error, values: flags.FlagValues) -> str:
    """absl's error in words that also say what was wanted."""
    if isinstance(error, flags.UnrecognizedFlagError):
        names = [f"--{name}" for name in values if "." not in name]
        return f"--{error.flagname}: no such flag; {_nearest(f'--{error.flagname}', names)}"
    reasons = []
    for line in str(error).splitlines():
        match = re.match(r"flag --([^=]+)=(.*?): (.*)", line)
        if match is None or match[1] not in values:
            reasons.append(line)
        elif values[match[1]].value is None and match[2] == "None":
            reasons.append(f"--{match[1]} is missing: {values[match[1]].help}")
        else:
            flag = values[match[1]]
            wanted = f"wants {flag.flag_type()}, {flag.help}"
            reasons.append(f"--{match[1]}={match[2]}: {match[3]} ({wanted})")
    return "; ".join(reasons)


def _help(values: flags.FlagValues, arguments: list[str], program: str) -> str:
    """What a verb does, its flags, and the settings of the configuration where one is given."""
    verb = program.split()[-1]
    lines = [f"usage: {program} --FLAG=VALUE ...", "", f"{program}: {VERBS.get(verb, '')}", ""]
    for name in values:
        flag = values[name]
        kind = flag.flag_type().split()[-1].upper()
        left = f"--[no]{name}" if flag.boolean else f"--{name}={kind}"
        plain = not flag.boolean and not config_flags.is_config_flag(flag)
        default = f" (default {flag.default_as_str})" if plain and flag.default is not None else ""
        lines.append(f"  {left:<22} {flag.help}{default}")
    for flag in _config_flags(values):
        path = early_value(arguments, flag.name) or flag.default_unparsed
        if path is None:
            lines.append(f"\n--{flag.name}=FILE --help lists the settings of that configuration")
            continue
        lines.append(f"\n--{flag.name}.NAME=VALUE changes one of its settings:")
        lines += [f"  {name} = {value!r}" for name, value in _settings(flag.parser.parse(path))]
    return "\n".join(lines)
