"""A stand-in for Google Cloud Storage, for tests: TensorFlow's own client talks to it by HTTPS.

The client's addresses can't be changed, but it honours https_proxy and CURL_CA_BUNDLE: the server
is such a proxy, and answers every CONNECT itself, with a certificate of its own making.
"""

from __future__ import annotations

import contextlib
import json
import ssl
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

HOSTS = ("www.googleapis.com", "storage.googleapis.com")


class Server(ThreadingHTTPServer):
    """Answers on a free port. files: {"bucket/name": content}. context: its certificate and key."""

    def __init__(self, files: dict[str, bytes], context: ssl.SSLContext) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files, self.context = files, context


class Handler(BaseHTTPRequestHandler):
    """What the client sends to its proxy."""

    server: Server
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def do_CONNECT(self) -> None:
        self.send_response(200)
        self.end_headers()
        with self.server.context.wrap_socket(self.connection, server_side=True) as connection:
            Inner(connection, self.client_address, self.server)
        self.close_connection = True


class Inner(Handler):
    """What the client sends to Google, inside of the tunnel."""

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        parts = unquote(url.path).strip("/").split("/")
        if parts[:3] != ["storage", "v1", "b"]:  # An object's content.
            self._content(self.server.files.get("/".join(parts)))
            return
        bucket, rest = parts[3], "/".join(parts[5:])
        if len(parts) == 4:
            self._json({"name": bucket, "location": "EU"})
        elif rest:
            self._metadata(f"{bucket}/{rest}")
        else:
            self._listing(bucket, query)

    def _content(self, content: bytes | None) -> None:
        if content is None:
            self.send_error(404)
            return
        first, _, last = self.headers.get("Range", "bytes=0-").removeprefix("bytes=").partition("-")
        if int(first) >= len(content):
            self.send_error(416)
            return
        self._answer(206, content[int(first) : int(last) + 1 if last else None])

    def _metadata(self, name: str) -> None:
        if name not in self.server.files:
            self.send_error(404)
            return
        self._json(self._item(name))

    def _item(self, name: str) -> dict:
        bucket, _, rest = name.partition("/")
        return {"name": rest, "bucket": bucket, "size": str(len(self.server.files[name])),
                "generation": "1", "updated": "2026-01-01T00:00:00.000Z"}  # fmt: skip

    def _listing(self, bucket: str, query: dict[str, str]) -> None:
        prefix, end = query.get("prefix", ""), query.get("delimiter")
        names = [n for n in sorted(self.server.files) if n.startswith(f"{bucket}/{prefix}")]
        items, folders = [], set()
        for name in names:
            rest = name[len(bucket) + 1 + len(prefix) :]
            if end and end in rest:
                folders.add(prefix + rest.partition(end)[0] + end)
            else:
                items.append(self._item(name))
        self._json({"items": items, "prefixes": sorted(folders)})

    def _json(self, value: dict) -> None:
        self._answer(200, json.dumps(value).encode())

    def _answer(self, code: int, content: bytes) -> None:
        self.send_response(code)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


@contextlib.contextmanager
def fake_gcs(files: dict[str, bytes], directory: Path) -> Iterator[dict[str, str]]:
    """Serves {"bucket/name": content}; yields the environment of a process that is to see it."""
    certificate, key = directory / "certificate.pem", directory / "key.pem"
    names = ",".join(f"DNS:{host}" for host in HOSTS)
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj",
         "/CN=localhost", "-addext", f"subjectAltName={names}", "-keyout", str(key), "-out",
         str(certificate)],
        check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)

    server = Server(files, context)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield {
            "https_proxy": f"http://127.0.0.1:{server.server_port}",
            "no_proxy": "localhost",
            "CURL_CA_BUNDLE": str(certificate),
            "NO_GCE_CHECK": "true",
        }
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
