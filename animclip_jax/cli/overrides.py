"""The settings that a command line changes in a configuration: found and checked."""

import difflib
import re
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from absl import flags
from ml_collections import ConfigDict
from ml_collections.config_flags import tuple_parser


class Refused(Exception):
    """What a person wrote on the command line is wrong; the text is meant for them."""


class Override(NamedTuple):
    """One argument that changes a setting of a configuration."""

    flag: str  # as written, such as --config.optimizer.learning_rate
    setting: str
    negated: bool  # --noconfig.NAME
    text: str | None  # behind "="
    following: str | None  # the next argument, the value where there is no "="


def overrides_in(name: str, arguments: list[str]) -> Iterator[Override]:
    """The arguments that change a setting of the configuration of that name."""
    pattern = re.compile(rf"(--?(no)?{re.escape(name)}\.([^=]*))(?:=(.*))?", re.DOTALL)
    for index, argument in enumerate(arguments):
        if match := pattern.fullmatch(argument):
            flag, negated, setting, text = match.groups()
            following = arguments[index + 1] if index + 1 < len(arguments) else None
            yield Override(flag, setting, bool(negated), text, following)


def check_override(config: ConfigDict, given: Override) -> None:
    """Raises Refused for a setting that does not exist or a value of another type."""
    kind, value = _setting(config, given)
    text = given.text
    if kind not in _WANTED:
        raise Refused(f"{given.flag}: {kind.__name__} {value!r} can only be changed in the file")
    if kind is bool:
        if given.text is None and str(given.following).lower() in ("true", "false"):
            raise Refused(f"{given.flag} {given.following}: write = between the two")
        if given.negated and given.text is not None:
            raise Refused(f"{given.flag}={given.text}: takes no value")
        text = "true" if text is None else text
    elif given.negated:
        raise Refused(f"{given.flag}: --no works for true/false settings only; this is {value!r}")
    else:
        text = given.following if text is None else text
    if text is None:
        raise Refused(f"{given.flag}: needs a value, {_WANTED[kind]} such as {value!r}")
    if not _fits(kind, value, text):
        raise Refused(f"{given.flag}={text}: expected {_WANTED[kind]} such as {value!r}")


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


def _setting(config: ConfigDict, given: Override) -> tuple[type, Any]:
    """The type and the value of the setting that an override names."""
    above: list[str] = []
    holder, value, name = config, config, ""
    for name in given.setting.split("."):
        if not isinstance(value, ConfigDict):
            raise Refused(f"{given.flag}: {'.'.join(above)} is {value!r}, nothing is below it")
        if name not in value:
            raise Refused(f"{given.flag}: no such setting; {_nearest_setting(config, above, name)}")
        holder, value = value, value[name]
        above.append(name)
    if isinstance(value, ConfigDict):
        raise Refused(f"{given.flag}: holds several settings, choose one: {', '.join(value)}")
    return holder.get_type(name), value


def all_settings(config: ConfigDict, above: str = "") -> Iterator[tuple[str, Any]]:
    """Every setting by its full name."""
    for name, value in config.items():
        if isinstance(value, ConfigDict):
            yield from all_settings(value, f"{above}{name}.")
        else:
            yield above + name, value


def _nearest_setting(config: ConfigDict, above: list[str], name: str) -> str:
    """A name that is spelled nearly so on the same level, or a like one elsewhere, or the level."""
    level = config
    for part in above:
        level = level[part]
    beside = {other: ".".join([*above, other]) for other in level}
    elsewhere = {path.split(".")[-1]: path for path, _ in all_settings(config)}
    for names, likeness in ((beside, 0.6), (elsewhere, 0.75)):
        if near := difflib.get_close_matches(name, names, 1, likeness):
            return f"did you mean {names[near[0]]}?"
    return f"there are {', '.join(beside.values())}"


def nearest(given: str, possible: Iterable[str]) -> str:
    """A hint at what was meant: the likest name, or all there are."""
    if near := difflib.get_close_matches(given, possible, 1):
        return f"did you mean {near[0]}?"
    return f"there are {', '.join(possible)}"
