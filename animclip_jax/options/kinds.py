"""The types of values that options share."""

from __future__ import annotations

import argparse
import functools
import os
from collections.abc import Callable
from pathlib import Path

from absl import flags

from animclip_jax.engines import place
from animclip_jax.engines.place import Place
from input_pipeline.media.parts import Part, parse

# What --engine is, of commands that read many files.
ENGINE = (
    "where files are read: ray starts a Ray cluster on this machine, ray:HOST:PORT uses one that "
    "this machine belongs to; without it, processes of this machine"
)

PART = (
    "do part I of N, in a folder beside --out, as on each machine of a SLURM array; then --merge=N "
    "makes one of all"
)
MERGE = "make one of the N parts of --part=1/N to --part=N/N, which are then removed"


def path(text: str) -> Path:
    """The path of a file or a folder; "~" is the home folder, also where the shell left it.

    A shell expands it at the start of a word, and so not in --out=~/clips.
    """
    if not text:
        raise argparse.ArgumentTypeError("no path, wanted that of a file or a folder")
    if "://" in text:  # A path would lose a slash, and be made as a folder of that name here.
        raise argparse.ArgumentTypeError(f"{text}: wanted a path on a disk; copy it there, or back")
    return Path(home(text))


def file(text: str) -> Path:
    """As `path`, of a file that is there."""
    found = path(text)
    if not found.is_file():
        raise argparse.ArgumentTypeError(f"{found}: no such file")
    return found


def home(text: str) -> str:
    """As `path`, for what may also be a name on the Hub or in a bucket, which stays as it is.

    "~" stays, too, before a name that is no user's; Path.expanduser would raise RuntimeError.
    """
    return os.path.expanduser(text)


def index(text: str) -> Path | Place:
    """The folder of an index, or where one is published."""
    try:
        return place.given(text) or path(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def target(text: str) -> Place:
    """Where an index is to be published."""
    try:
        return place.target(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def part(text: str) -> Part:
    """A part of a job, such as 3/8."""
    try:
        return parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def whole(text: str) -> int:
    """A whole number, 1 or more."""
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"found {text!r}, wanted a whole number, 1 or more")
    return number


class _Place(flags.ArgumentParser):
    """A path for absl's flags: text, since it may be in a bucket, with "~" expanded."""

    def parse(self, argument: str) -> str:
        return home(argument)

    def flag_type(self) -> str:
        return "path"


class _Part(flags.ArgumentParser):
    """A part of a job for absl's flags."""

    def parse(self, argument: str) -> Part:
        return parse(argument)

    def flag_type(self) -> str:
        return "I/N"


def define_part(values: flags.FlagValues) -> None:
    """Defines the flag --part."""
    flags.DEFINE(_Part(), "part", None, PART, values, flags.ArgumentSerializer())


def define_processes(values: flags.FlagValues) -> None:
    """Defines the flags by which several processes find each other."""
    number = functools.partial(flags.DEFINE_integer, lower_bound=0, flag_values=values)
    where = "HOST:PORT of process 0, if several processes run this command together"
    flags.DEFINE_string("coordinator", None, where, flag_values=values)
    number("processes", None, "how many processes run this command together")
    number("process", None, "the number of this process, from 0")


def define_path(values: flags.FlagValues) -> Callable[[str, str | None, str], None]:
    """Defines flags of the type path, by name, default and help."""

    def define(name: str, default: str | None, help: str) -> None:
        flags.DEFINE(_Place(), name, default, help, values)

    return define
