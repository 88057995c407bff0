"""Latency of /api/search as clients see it, alone and with others, beside what the server spent.

    animclip serve INDEX --port 8000
    python -m benchmarks.serving http://127.0.0.1:8000 --quick --json serving.json

Each client asks sentences one after the other over a connection of its own. `server` is the time
that the stages took, told in the answer: the rest is waiting for other clients, HTTP and JSON.
"""

import argparse
import http.client
import itertools
import json
import sys
import threading
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import numpy as np

from animclip_jax import files

CLIENTS, REQUESTS = (1, 4, 16), 400
QUICK_CLIENTS, QUICK_REQUESTS = (1, 4), 60
WARM_UP = 5
SUBJECTS = ("a dog", "two children", "a red ball", "someone", "a car at night", "a white cat")
ACTIONS = ("runs over the grass", "is shown from above", "turns left", "waits in the rain")


def sentences() -> list[str]:
    """What is asked for, in turn."""
    return [f"{subject} {action}" for subject, action in itertools.product(SUBJECTS, ACTIONS)]


def ask(connection: http.client.HTTPConnection, sentence: str) -> tuple[int, float, float]:
    """One search: the status, and the milliseconds that it and its stages took."""
    began = time.perf_counter()
    connection.request("GET", f"/api/search?q={quote(sentence)}")
    reply = connection.getresponse()
    body = reply.read()
    spent = 1000 * (time.perf_counter() - began)
    stages = json.loads(body)["milliseconds"] if reply.status == 200 else {}
    return reply.status, spent, sum(stages.values())


def measure(address: str, clients: int, requests: int) -> dict[str, Any]:
    """A row: so many requests by so many clients at once. Answers of 503 are counted apart."""
    seen: list[tuple[int, float, float]] = []
    asked = sentences()

    def client(number: int) -> None:
        connection = http.client.HTTPConnection(address, timeout=120)
        for turn in range(number, requests, clients):
            seen.append(ask(connection, asked[turn % len(asked)]))
        connection.close()

    threads = [threading.Thread(target=client, args=(number,)) for number in range(clients)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - began
    answered = np.array([one[1:] for one in seen if one[0] == 200])
    if not len(answered):
        statuses = sorted({status for status, _, _ in seen})
        raise RuntimeError(f"{address}: no search was answered, statuses {statuses}")
    return {
        "clients": clients,
        "answered": len(answered),
        "refused": sum(status == 503 for status, _, _ in seen),
        "failed": requests - len(answered) - sum(status == 503 for status, _, _ in seen),
        "searches_per_second": len(answered) / seconds,
        "p50_ms": float(np.quantile(answered[:, 0], 0.5)),
        "p99_ms": float(np.quantile(answered[:, 0], 0.99)),
        "server_p50_ms": float(np.quantile(answered[:, 1], 0.5)),
    }


def main(argv: list[str] | None = None) -> int:
    """Prints a table; writes it as JSON too where --json is given."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("url", help="of a server, such as http://127.0.0.1:8000")
    parser.add_argument("--clients", type=int, nargs="+", help="at once, in place of the usual")
    parser.add_argument("--quick", action="store_true", help="fewer clients and requests")
    parser.add_argument("--json", type=Path, help="also write the figures into this file")
    options = parser.parse_args(argv)
    address = urlsplit(options.url).netloc
    clients = options.clients or (QUICK_CLIENTS if options.quick else CLIENTS)
    requests = QUICK_REQUESTS if options.quick else REQUESTS
    try:
        connection = http.client.HTTPConnection(address, timeout=120)
        connection.request("GET", "/api/index")
        index = json.loads(connection.getresponse().read())
        connection.close()
        measure(address, 1, WARM_UP)
        rows = [measure(address, count, requests) for count in clients]
    except (OSError, RuntimeError) as error:
        print(f"serving: {options.url}: {error}", file=sys.stderr)
        return 1
    print(f"{index['segments']} segments, {'two stages' if index['reranks'] else 'coarse only'}")
    print(f"| {' | '.join(rows[0])} |\n|{' --- |' * len(rows[0])}")
    for row in rows:
        cells = [f"{x:.1f}" if isinstance(x, float) else str(x) for x in row.values()]
        print(f"| {' | '.join(cells)} |")
    if options.json:
        files.write_json(options.json, {"index": index, "rows": rows}, indent=2)
    return 0 if not any(row["failed"] for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
