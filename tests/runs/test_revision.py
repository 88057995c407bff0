"""The commit a process started with, whatever the checkout does meanwhile."""

import subprocess

from animclip_jax.runs import revision


def test_the_commit_is_found_once(monkeypatch):
    answers = iter(["first\n", "second\n"])

    def run(*command, **options):
        return subprocess.CompletedProcess(command, 0, stdout=next(answers))

    monkeypatch.setattr(revision.subprocess, "run", run)
    revision.git_commit.cache_clear()
    try:
        assert [revision.git_commit(), revision.git_commit()] == ["first", "first"]
    finally:
        revision.git_commit.cache_clear()


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
