"""What the pages point at is there, and the commands they show have the flags they are given."""

import importlib
import re
import shlex
from pathlib import Path

import pytest

from animclip_jax import command_line, setting_overrides
from configs import common

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
# Who shows a command: pages, and experiments in their first lines.
SHOWN = [*PAGES, ROOT / "Makefile", *sorted((ROOT / "configs").rglob("[!_]*.py"))]
# Verbs that read their flags by absl; the others do by argparse.
BY_ABSL = ("train", "plan", "prepare")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    prose = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", prose):
        if not target.startswith("https:"):
            assert (page.parent / target).exists(), f"{page.name} points at {target}"


def commands(path):
    """Each `animclip VERB ...` that stands on a line of its own, as a list of words."""
    text = re.sub(r"\\{1,2}\n\s*", "", path.read_text()).replace("$seed", "0")
    before = r"(?:[^`\n]* -- |[^`\n]*\|\| )?(?:\.venv/bin/|\$\(BIN\)/)?"
    lines = re.findall(rf"^[ \t]*{before}animclip ([a-z]+ [^#`\n]*)", text, re.MULTILINE)
    found = [shlex.split(line) for line in lines]
    return [words for words in found if "..." not in words and words[0] in command_line.VERBS]


def test_commands_are_found():
    shown = [words for path in SHOWN for words in commands(path)]
    assert len(shown) > 40 and {words[0] for words in shown} > {"train", "export", "prepare"}
    found = commands(ROOT / "docs" / "reproduce.md")
    assert ["train", "--config=configs/msrvtt.py", "--workdir=runs/msrvtt"] in found
    assert len([words for words in found if "--config.microbatch=4096" in words]) == 2
    assert any(words[0] == "export" for words in commands(ROOT / "Makefile"))


@pytest.mark.parametrize("path", SHOWN, ids=lambda path: str(path.relative_to(ROOT)))
def test_commands_have_the_flags_they_are_given(path):
    for verb, *words in commands(path):
        module = importlib.import_module(f"animclip_jax.{verb}")
        shown = f"{path.name}: animclip {verb} {' '.join(words)}"
        if verb in BY_ABSL:
            define = getattr(module, "define_flags", None) or module._define_flags
            try:
                command_line.parse_flags(words, f"animclip {verb}", define)
            except SystemExit:
                pytest.fail(shown)
            continue
        source = Path(module.__file__).read_text()
        given = [word for word in words if word.startswith("--")]
        for name in {word.partition("=")[0] for word in given if not word.startswith("--config.")}:
            defined = name.replace("--no-", "--")
            defined = defined if verb != "evaluate" else defined.removeprefix("--")
            assert f'"{defined}"' in source, f"{shown}: no flag {name}"
        for name in re.findall(r'"(--\w+)", required=True', source):
            assert any(word.partition("=")[0] == name for word in words), f"{shown}: lacks {name}"
        config = common.get_config().lock()
        for override in setting_overrides.overrides_in("config", given):
            setting_overrides.check_override(config, override)
