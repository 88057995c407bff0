"""What an installation takes, of packages that are made up."""

from pathlib import Path

import pytest

from benchmarks import installed


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`app` requires `lib_a`, its extra `more` requires `big[deep]`, and that requires `gone`."""

    def package(name: str, size: int, *requires: str) -> None:
        info = tmp_path / f"{name}-1.0.dist-info"
        info.mkdir()
        lines = "".join(f"Requires-Dist: {line}\n" for line in requires)
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n{lines}"
        )
        # Since Python 3.12, files that are recorded and not there are left out.
        (tmp_path / f"{name}.so").touch()
        (tmp_path / f"{name}.pyc").touch()
        (info / "RECORD").write_text(f"{name}.so,,{size}\n{name}.pyc,,9000000\n")

    package("app", 1_000_000, "Lib.A>=1", "big[deep]; extra == 'more'")
    package("lib_a", 2_000_000, "app", "nowhere; python_version < '3'")
    package("big", 40_000_000, "gone; extra == 'deep'", "never; extra == 'other'")
    monkeypatch.syspath_prepend(str(tmp_path))


def test_what_is_required_counts_once_and_without_byte_code(packages: None) -> None:
    assert installed.closure(["app"]) == ({"app": 1.0, "lib-a": 2.0}, set())


def test_an_extra_and_the_extras_it_asks_for_count_too(packages: None) -> None:
    sizes, missing = installed.closure(["app"], ["more"])
    assert sizes == {"app": 1.0, "lib-a": 2.0, "big": 40.0} and missing == {"gone"}


def test_over_the_limit_is_an_error(
    packages: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(installed, "NAME", "app")
    assert installed.main(["--limit=3"]) == 0
    assert "    3.0 MB  app\n" in capsys.readouterr().out
    assert installed.main(["--extra=more", "--limit=42.5"]) == 1
    said = capsys.readouterr()
    assert "not installed here: gone" in said.out and "wanted 42.5 MB at most" in said.err


def test_other_packages_are_added_up_together(
    packages: None, capsys: pytest.CaptureFixture
) -> None:
    assert installed.main(["--package=lib-a", "--package=big"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "   43.0 MB  lib-a, big"
