"""A git host on this machine: ``git http-backend`` behind a small HTTP server, with a password."""

import base64
import contextlib
import os
import ssl
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

_HOLD_SECONDS = 60


def make_certificate(folder: Path) -> Path:
    """Return a certificate with its key, that nobody trusts: of this machine, and of git.test."""
    key, file = folder / "key.pem", folder / "host.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
         "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1,DNS:git.test",
         "-keyout", str(key), "-out", str(file)],
        check=True, capture_output=True,
    )  # fmt: skip
    file.write_text(file.read_text() + key.read_text())
    return file


class GitServer:
    """Serves every repository below a folder.

    Attributes:
        url: Where it is; a repository's name follows.
        port: The port in it.
        password: What a client has to send, for any user; None lets everybody in.
        gate: While it is closed, a clone gets its progress and not its objects.
        held: Set when a clone stands before the gate.
        requests: How many there were.
        elsewhere: Where every request is sent on to, if set.
    """

    def __init__(self, root: Path, certificate: Path | None = None) -> None:
        self.root = root
        self.password: str | None = None
        self.gate = threading.Event()
        self.gate.set()
        self.held = threading.Event()
        self.requests = 0
        self.elsewhere: str | None = None
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._http.daemon_threads = True
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self._http.socket = context.wrap_socket(self._http.socket, server_side=True)
        scheme = "http" if certificate is None else "https"
        self.port = self._http.server_port
        self.url = f"{scheme}://127.0.0.1:{self.port}"

    @contextlib.contextmanager
    def serving(self) -> Iterator["GitServer"]:
        thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield self
        finally:
            self.gate.set()
            self._http.shutdown()
            thread.join()
            self._http.server_close()

    def lets_in(self, authorization: str | None) -> bool:
        if self.password is None:
            return True
        kind, _, value = (authorization or "").partition(" ")
        return kind == "Basic" and base64.b64decode(value).decode().endswith(f":{self.password}")


def _handler(server: GitServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            self._answer(b"")

        def do_POST(self) -> None:
            self._answer(self.rfile.read(int(self.headers["Content-Length"])))

        def _answer(self, body: bytes) -> None:
            server.requests += 1
            if server.elsewhere is not None:
                self.send_response(302)
                self.send_header("Location", server.elsewhere + self.path)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            if not server.lets_in(self.headers["Authorization"]):
                self.send_response(401)
                self.send_header("WWW-Authenticate", 'Basic realm="git"')
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            answer = self._backend(body)
            head, _, content = answer.partition(b"\r\n\r\n")
            fields = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
            self.send_response(int(fields.pop("Status", "200").split()[0]))
            fields["Content-Length"] = str(len(content))
            for name, value in fields.items():
                self.send_header(name, value)
            self.end_headers()
            # The progress is before the objects.
            start = content.find(b"PACK") - 5
            if start > 0 and not server.gate.is_set():
                self.wfile.write(content[:start])
                self.wfile.flush()
                server.held.set()
                server.gate.wait(_HOLD_SECONDS)
                content = content[start:]
            with contextlib.suppress(OSError):  # git may have been killed meanwhile
                self.wfile.write(content)

        def _backend(self, body: bytes) -> bytes:
            path, _, query = self.path.partition("?")
            done = subprocess.run(
                ["git", "http-backend"],
                input=body,
                capture_output=True,
                check=True,
                env={
                    "PATH": os.environ["PATH"],
                    "GIT_PROJECT_ROOT": str(server.root),
                    "GIT_HTTP_EXPORT_ALL": "1",
                    "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
                    "GIT_CONFIG_COUNT": "1",
                    "GIT_CONFIG_KEY_0": "uploadpack.allowAnySHA1InWant",
                    "GIT_CONFIG_VALUE_0": "true",
                    "REQUEST_METHOD": self.command,
                    "PATH_INFO": path,
                    "QUERY_STRING": query,
                    "CONTENT_TYPE": self.headers.get("Content-Type", ""),
                    "CONTENT_LENGTH": str(len(body)),
                    "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
                },
            )
            return done.stdout

    return Handler
