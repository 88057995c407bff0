"""Which room may import which, read from every import statement; what no file may hold."""

import ast
import graphlib
import importlib
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from animclip_jax.cli import flags
from tests.processes import imported_without_tensorflow
from tests.repository import ROOT, tracked

LIBRARY = ("animclip_jax", "input_pipeline", "configs")
TENSORFLOW = ("tensorflow", "tensorflow_datasets", "jax.experimental.jax2tf")
# What alone may import it there, inside a function: it writes TensorFlow's own format.
WRITES_FOR_TENSORFLOW = "animclip_jax.exporting.saved_model"
# Commands that read pictures and videos through tf.data, or make what it reads.
NEED_TENSORFLOW = {
    f"animclip_jax.{name}" for name in ("evaluate", "evaluation.arm", "animate_photo", "prepare")
}
# What alone may import it in input_pipeline: it hides the GPU from it, and hands it on.
HIDES_THE_GPU = "input_pipeline.tensorflow_on_cpu"
# TensorFlow Datasets' builders of the video sets.
BUILDS = "input_pipeline.video_sets.builders"
# The rooms of input_pipeline that a machine without TensorFlow uses.
WITHOUT_TENSORFLOW = tuple(
    f"input_pipeline.{room}" for room in ("baked", "drawn", "media", "tokenizers", "video_sets")
)
# Modules of the commands. What they share lies in rooms.
VERBS = tuple(map(flags.module, flags.VERBS))
# What may import TensorFlow, or TensorFlow Datasets, although its room may not.
MAY = {
    WRITES_FOR_TENSORFLOW: (*TENSORFLOW, HIDES_THE_GPU),
    HIDES_THE_GPU: ("tensorflow",),
    BUILDS: ("tensorflow_datasets",),
}


class Rule(NamedTuple):
    """No module of `rooms` imports anything of `forbidden`, unless it is of `allowed`."""

    rooms: tuple[str, ...]
    forbidden: tuple[str, ...]
    allowed: tuple[str, ...] = ()


RULES = [
    Rule(("animclip_jax", "configs"), (*TENSORFLOW, HIDES_THE_GPU, "av", "clu")),
    Rule(WITHOUT_TENSORFLOW, (*TENSORFLOW, HIDES_THE_GPU)),
    Rule(("input_pipeline",), ("tensorflow",)),
    Rule(
        ("input_pipeline",),
        ("animclip_jax", "configs"),
        tuple(f"animclip_jax.{name}" for name in ("animation", "files", "words")),
    ),
    Rule(
        tuple(
            f"animclip_jax.{room}"
            for room in ("models", "training.losses", "animation", "retrieval", "weights")
        ),
        ("input_pipeline", "animclip_jax.sharding"),
    ),
    # The ConfigDict ends at settings.py, which makes what rooms take.
    Rule(
        tuple(f"animclip_jax.{room}" for room in ("training", "evaluation", "planning", "runs")),
        ("animclip_jax.settings", "ml_collections"),
    ),
    Rule(LIBRARY, ("tests", "benchmarks")),
    Rule(LIBRARY, VERBS),
]


def within(name: str, rooms: tuple[str, ...]) -> bool:
    return any(name == room or name.startswith(f"{room}.") for room in rooms)


def modules(root: Path) -> dict[str, Path]:
    """Every module of the library by its name."""
    found = {}
    for package in LIBRARY:
        for path in sorted((root / package).rglob("*.py")):
            parts = path.relative_to(root).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(name: str, path: Path, known: set[str]) -> Iterator[str]:
    """The modules a file imports anywhere in it; of `from a import b`, a.b where that is one."""
    for node in ast.walk(ast.parse(path.read_text(), path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            package = name.split(".") if path.stem == "__init__" else name.split(".")[:-1]
            above = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            for alias in node.names:
                # What is not a module of ours is a name in `base`, or a module there: the rules
                # that forbid `base` forbid both.
                inner = f"{base}.{alias.name}"
                yield inner if inner in known or base not in known else base


def violations(root: Path) -> list[str]:
    found = modules(root)
    return [
        f"{name} imports {imported}"
        for name, path in found.items()
        for imported in imports(name, path, set(found))
        if not within(imported, MAY.get(name, ()))
        and any(
            within(name, rule.rooms)
            and within(imported, rule.forbidden)
            and not within(imported, rule.allowed)
            for rule in RULES
        )
    ]


def room(name: str) -> str:
    """The package or the top-level file that a module is in."""
    return ".".join(name.split(".")[:2])


def circle(root: Path, place: Callable[[str], str]) -> list[str]:
    """Places of modules, such as their rooms, that import each other in a circle; [] if none do."""
    found = modules(root)
    arrows: dict[str, set[str]] = {}
    for name, path in found.items():
        others = set(map(place, imports(name, path, set(found)))) - {place(name)}
        arrows.setdefault(place(name), set()).update(others)
    try:
        graphlib.TopologicalSorter(arrows).prepare()
    except graphlib.CycleError as error:
        return error.args[1]
    return []


@pytest.mark.parametrize("place", [str, room])
def test_no_import_goes_in_a_circle(place: Callable[[str], str], tmp_path: Path) -> None:
    assert circle(ROOT, place) == []
    texts = {"a/one": "import animclip_jax.b.two", "b/two": "def f():\n    from ..a import one"}
    for name, text in texts.items():
        path = tmp_path / "animclip_jax" / f"{name}.py"
        path.parent.mkdir(parents=True)
        path.write_text(text)
    assert len(circle(tmp_path, place)) == 3


def test_no_room_imports_what_it_must_not() -> None:
    assert len(modules(ROOT)) > 20
    assert violations(ROOT) == []


@pytest.mark.parametrize(
    "file, text, imported",
    [
        ("animclip_jax/search.py", "import tensorflow as tf", "tensorflow"),
        ("animclip_jax/search.py", "def f():\n    import av", "av"),
        (
            "animclip_jax/exporting/stablehlo.py",
            "def f():\n    from jax.experimental import jax2tf",
            "jax.experimental.jax2tf",
        ),
        ("animclip_jax/exporting/saved_model.py", "import tests.conftest", "tests.conftest"),
        ("configs/x.py", "import tensorflow_datasets", "tensorflow_datasets"),
        ("input_pipeline/media/video.py", "import tensorflow as tf", "tensorflow"),
        ("input_pipeline/drawn/a.py", "import tensorflow_datasets", "tensorflow_datasets"),
        ("input_pipeline/video_sets/a.py", "import tensorflow_datasets", "tensorflow_datasets"),
        ("input_pipeline/batches.py", "def f():\n    import tensorflow as tf", "tensorflow"),
        ("input_pipeline/store/x.py", "from tensorflow import io", "tensorflow.io"),
        ("input_pipeline/x.py", "from animclip_jax import sharding", "animclip_jax.sharding"),
        ("input_pipeline/x.py", "import animclip_jax", "animclip_jax"),
        (
            "animclip_jax/training/losses.py",
            "import input_pipeline.media.video",
            "input_pipeline.media.video",
        ),
        ("animclip_jax/models/x.py", "from .. import sharding", "animclip_jax.sharding"),
        ("animclip_jax/retrieval/x.py", "from .. import sharding", "animclip_jax.sharding"),
        ("animclip_jax/models/__init__.py", "from ..sharding import y", "animclip_jax.sharding"),
        (
            "animclip_jax/training/x.py",
            "from animclip_jax import evaluate",
            "animclip_jax.evaluate",
        ),
        ("animclip_jax/api.py", "def f():\n    import animclip_jax.train", "animclip_jax.train"),
        ("animclip_jax/x.py", "from tests import conftest", "tests.conftest"),
        ("animclip_jax/x.py", "if 1:\n    import benchmarks.a", "benchmarks.a"),
    ],
)
def test_finds_a_forbidden_import(tmp_path: Path, file: str, text: str, imported: str) -> None:
    for there in (
        "animclip_jax/__init__.py",
        "animclip_jax/evaluate.py",
        "animclip_jax/sharding.py",
        "animclip_jax/training/losses.py",
    ):
        (tmp_path / there).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / there).write_text("")
    for there in ("__init__.py", "plan.py"):
        (tmp_path / "animclip_jax/animation").mkdir(exist_ok=True)
        (tmp_path / "animclip_jax/animation" / there).write_text("")
    path = tmp_path / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    (line,) = violations(tmp_path)
    assert line.endswith(f" imports {imported}")


def test_allows_what_is_named(tmp_path: Path) -> None:
    path = tmp_path / "input_pipeline" / "x.py"
    path.parent.mkdir()
    path.write_text(
        "import tensorflow_datasets, av\n"
        "from animclip_jax.animation.plan import ShotPlan\n"
        "from input_pipeline.media import video\n"
    )
    assert violations(tmp_path) == []


def test_all_but_the_tf_data_part_imports_without_tensorflow() -> None:
    names = [
        name
        for name in modules(ROOT)
        if not within(name, ("input_pipeline",)) or within(name, WITHOUT_TENSORFLOW)
        if name not in (*NEED_TENSORFLOW, BUILDS)
    ]
    assert {
        "animclip_jax.training.losses",
        "animclip_jax.models.clip",
        "input_pipeline.media.video",
    } <= set(names)
    assert imported_without_tensorflow(*names, "tensorflow") == {
        "tensorflow": "No module named 'tensorflow'"
    }


def test_no_test_module_imports_another() -> None:
    """What several share is in a plain module: renaming a test then breaks nothing else."""
    paths = list((ROOT / "tests").rglob("*.py"))
    assert len(paths) > 100
    assert [
        f"{path.relative_to(ROOT)} imports {imported}"
        for path in paths
        for imported in imports(path.stem, path, set())
        if re.search(r"(^|\.)test_", imported)
    ] == []


def test_every_configuration_imports() -> None:
    names = [
        name
        for name, path in modules(ROOT).items()
        if name.startswith("configs.") and path.stem != "__init__"
    ]
    assert names
    for name in names:
        assert callable(importlib.import_module(name).get_config), name


def test_the_top_of_input_pipeline_stays_small() -> None:
    assert len(list((ROOT / "input_pipeline").glob("*.py"))) <= 6


def test_input_pipeline_itself_is_empty() -> None:
    assert ast.parse((ROOT / "input_pipeline" / "__init__.py").read_text()).body == []


def too_long(root: Path) -> list[str]:
    """Files that have grown beyond what one sitting reads."""
    rooms = [root / room for room in (*LIBRARY, "benchmarks", "tests")]
    verbs = {root / f"{name.replace('.', '/')}.py" for name in VERBS}
    found = []
    for path in sorted(path for room in rooms for path in room.rglob("*.py")):
        text, most = path.read_text(), 120 if path in verbs else 400
        if (lines := len(text.splitlines())) > most:
            found.append(f"{path.relative_to(root)}: {lines} lines, wanted {most} at most")
        for node in ast.walk(ast.parse(text)):
            if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                continue
            if (lines := (node.end_lineno or 0) - node.lineno + 1) > 60:
                name = f"{path.relative_to(root)}: {node.name}"
                found.append(f"{name}: {lines} lines, wanted 60 at most")
    return found


def test_no_verb_has_over_120_lines_no_file_over_400_and_no_function_over_60() -> None:
    assert too_long(ROOT) == [], "move a subject of its own into a file or a function of its own"


def test_finds_what_is_too_long(tmp_path: Path) -> None:
    for file, lines in (("train.py", 121), ("index.py", 120), ("a/b.py", 401), ("a/c.py", 400)):
        path = tmp_path / "animclip_jax" / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n" * lines)
    function = "def f{0}():\n" + "    pass\n" * 58 + "    return {0}\n"
    text = function.format(60) + function.format(61).replace("pass", "pass\n", 1)
    (tmp_path / "animclip_jax/a/d.py").write_text(text)
    assert too_long(tmp_path) == [
        "animclip_jax/a/b.py: 401 lines, wanted 400 at most",
        "animclip_jax/a/d.py: f61: 61 lines, wanted 60 at most",
        "animclip_jax/train.py: 121 lines, wanted 120 at most",
    ]


def test_no_file_is_called_utils() -> None:
    assert [path for path in tracked() if path.stem in ("util", "utils")] == []


# Where packages come from is the choice of who installs.
REGISTRY = re.compile(
    r"pypi\.(org|python)|pythonhosted\.|anaconda\.(org|com)|registry\.(npmjs|yarnpkg)"
    r"|download\.pytorch\.|(extra-)?index[-_]url|find[-_]links|dl\.google\.com/.*pip",
    re.IGNORECASE,
)


def test_no_file_holds_a_registrys_address() -> None:
    assert REGISTRY.search("https://" + "pypi" + ".org/simple")
    assert REGISTRY.search("--find" + "-links /x")
    named = [
        f"{path.relative_to(ROOT)}: {match[0]}"
        for path in tracked()
        if (match := REGISTRY.search(path.read_bytes().decode("utf-8", "replace")))
    ]
    assert named == []
