"""What the pages point at is there, and the commands they show have the flags they are given."""

import importlib
import re
import shlex

import pytest

from animclip_jax.cli import flags, overrides
from configs import common
from tests.repository import ROOT

CONTRIBUTING = ROOT / "CONTRIBUTING.md"
PAGES = [ROOT / "README.md", CONTRIBUTING, *sorted((ROOT / "docs").rglob("*.md"))]
# Who shows a command: pages, and experiments in their first lines.
SHOWN = [*PAGES, ROOT / "Makefile", *sorted((ROOT / "configs").rglob("[!_]*.py"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    prose = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    for target, part in re.findall(r"\]\(([^)#]*)(#[^)]*)?\)", prose):
        if not target.startswith("https:"):
            path = page.parent / target if target else page
            assert path.exists(), f"{page.name} points at {target}"
            assert not part or part[1:] in headings(path), f"{page.name} points at {target}{part}"


def headings(page):
    """What links to the headings of a page are called."""
    titles = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def test_things_live_where_the_page_for_contributors_says():
    table = CONTRIBUTING.read_text().split("## Where things live")[1]
    rows = re.findall(r"^\| ([^|]+) \| (`[^|]+) \|$", table, re.MULTILINE)
    assert len(rows) > 8
    for sought, cell in rows:
        for path, name in re.findall(r"`([\w/]+\.py)`(?: \(`(\w+)`\))?", cell):
            assert (ROOT / path).is_file(), f"{sought}: there is no {path}"
            defined = rf"^ *(class|def) {name}\b|^{name}\b.* = "
            is_there = re.search(defined, (ROOT / path).read_text(), re.MULTILINE)
            assert not name or is_there, f"{sought}: no {name} in {path}"


def commands(path):
    """Each `animclip VERB ...` that stands on a line of its own, as a list of words."""
    text = (
        re.sub(r"\\{1,2}\n\s*", "", path.read_text())
        .replace("$seed", "0")
        .replace("$(PORT)", "8000")
    )
    before = (
        r"(?:[^`\n]* -- |[^`\n]*\|\| |(?:docker run|srun) [^`\n]* )?(?:\.venv/bin/|\$\(BIN\)/)?"
    )
    lines = re.findall(rf"^[ \t]*{before}animclip ([a-z]+ [^#`\n]*)", text, re.MULTILINE)
    found = [shlex.split(line) for line in lines]
    return [words for words in found if "..." not in words and words[0] in flags.VERBS]


def test_commands_are_found():
    shown = [words for path in SHOWN for words in commands(path)]
    assert len(shown) > 40 and {words[0] for words in shown} > {"train", "export", "prepare"}
    found = commands(ROOT / "docs" / "reproduce.md")
    assert ["train", "--config=configs/msrvtt.py", "--workdir=runs/msrvtt"] in found
    assert len([words for words in found if "--config.microbatch=4096" in words]) == 2
    assert any(words[0] == "export" for words in commands(ROOT / "Makefile"))
    served = [words for words in commands(ROOT / "docs" / "search.md") if words[0] == "serve"]
    assert any("--host=0.0.0.0" in words for words in served)  # behind docker run


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_that_is_read_after_the_readme_writes_no_folder_of_its(page):
    """The output of export and convert must be new: only the same command makes it again."""
    made: dict[str, list[str]] = {}
    for words in [*commands(ROOT / "README.md"), *commands(page)]:
        if words[0] in ("export", "convert"):
            options = importlib.import_module(f"animclip_jax.options.{words[0]}").parse(words[1:])
            where = str(options.out)
            assert made.setdefault(where, words) == words, f"{page.name}: {where} is there already"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_training_of_a_page_says_on_what(page):
    """configs/folders.py trains on folders in the working directory, which nobody has."""
    for verb, *words in commands(page):
        if verb == "train" and any(
            word.startswith("--config=configs/folders.py") for word in words
        ):
            for source in ("train", "eval"):
                flag = f"--config.data.{source}="
                assert any(word.startswith(flag) for word in words), f"{page.name}: {flag} {words}"


@pytest.mark.parametrize("path", SHOWN, ids=lambda path: str(path.relative_to(ROOT)))
def test_commands_have_the_flags_they_are_given(path, tmp_path):
    a_run = tmp_path
    (tmp_path / "config.json").write_text("{}")
    for verb, *words in commands(path):
        shown = f"{path.name}: animclip {verb} {' '.join(words)}"
        given = [word for word in words if word.startswith("--")]
        if verb == "evaluate":  # its configuration is that of the run
            words = [word for word in words if not word.startswith(("--config.", "--workdir"))]
            words += [f"--workdir={a_run}"]
        try:
            importlib.import_module(f"animclip_jax.options.{verb}").parse(words)
        except SystemExit:
            pytest.fail(shown)
        config = common.get_config().lock()
        for override in overrides.overrides_in("config", given):
            overrides.check_override(config, override)


def test_faults_name_tests_that_exist():
    held = 0
    for row in (ROOT / "docs" / "faults.md").read_text().splitlines():
        path = None
        for named, test in re.findall(r"`(tests/[\w/]+\.py)?::(\w+)", row):
            path = ROOT / named if named else path
            assert path is not None and f"def {test}(" in path.read_text(), row
            held += 1
    assert held > 100
