"""The commit a process started with, whatever the checkout does meanwhile."""

import os
import subprocess

from animclip_jax.runs import revision


def test_the_commit_is_found_once(monkeypatch):
    answers = iter(["first\n", "", "second\n", ""])

    def run(*command, **options):
        return subprocess.CompletedProcess(command, 0, stdout=next(answers))

    monkeypatch.setattr(revision.subprocess, "run", run)
    revision.git_commit.cache_clear()
    try:
        assert [revision.git_commit(), revision.git_commit()] == ["first", "first"]
    finally:
        revision.git_commit.cache_clear()


def test_changes_are_seen_and_nothing_is_written_into_the_checkout(tmp_path, monkeypatch):
    """Also where git's own notes of the files are out of date, as after a checkout was copied."""
    module = tmp_path / "revision.py"
    module.write_text("first")
    as_someone = ("-c", "user.name=a", "-c", "user.email=a@example.org")
    for command in (("init", "-q"), ("add", "."), (*as_someone, "commit", "-qm", "first")):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)
    os.utime(module, (10**9, 10**9))
    monkeypatch.delenv("ANIMCLIP_COMMIT", raising=False)
    monkeypatch.setattr(revision, "__file__", str(module))
    index = tmp_path / ".git" / "index"
    before = index.read_bytes()
    clean = revision.git_commit.__wrapped__()
    assert clean is not None and len(clean) == 40 and index.read_bytes() == before
    (tmp_path / "untracked").write_text("does not count")
    assert revision.git_commit.__wrapped__() == clean
    module.write_text("second")
    assert revision.git_commit.__wrapped__() == f"{clean}-dirty"


def test_a_launcher_may_say_it(monkeypatch):
    monkeypatch.setenv("ANIMCLIP_COMMIT", "abc-dirty")
    revision.git_commit.cache_clear()
    try:
        assert revision.git_commit() == "abc-dirty"
    finally:
        revision.git_commit.cache_clear()


def test_outside_git_there_is_none(monkeypatch):
    def run(*command, **options):
        raise subprocess.CalledProcessError(128, command)

    monkeypatch.setattr(revision.subprocess, "run", run)
    revision.git_commit.cache_clear()
    try:
        assert revision.git_commit() is None
    finally:
        revision.git_commit.cache_clear()
