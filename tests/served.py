"""A server in a process of its own, for tests that ask it over the network."""

import contextlib
import http.client
import json
import select
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from tests import processes


class Reply(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Served(NamedTuple):
    port: int
    process: subprocess.Popen

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def ask(
        self, path: str, method: str = "GET", body: bytes | None = None, **headers: str
    ) -> Reply:
        """headers: by name, with _ for -."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            given = {name.replace("_", "-"): text for name, text in headers.items()}
            connection.request(method, path, body, given)
            reply = connection.getresponse()
            told = {name.lower(): text for name, text in reply.getheaders()}
            return Reply(reply.status, told, reply.read())
        finally:
            connection.close()


@contextlib.contextmanager
def served(index: Path, *flags: str) -> Iterator[Served]:
    """`animclip serve` without TensorFlow, on a free port, until the block ends."""
    serve = ("serve", index, "--port=0", *flags)
    process = processes.started(
        processes.without(processes.TENSORFLOW, "animclip_jax", *serve),
        env=processes.environment(PYTHONUNBUFFERED="1"),
        stdout=subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        deadline = time.monotonic() + 300
        while not select.select([process.stdout], [], [], 1)[0]:
            assert time.monotonic() < deadline, "the server does not start"
        line = process.stdout.readline()
        assert line.startswith("http://"), line
        yield Served(int(line.split()[0].rpartition(":")[2]), process)
    finally:
        process.terminate()
        process.wait(30)
        if process.stdout is not None:
            process.stdout.close()
