"""What many tests need: a clean environment, free ports, AWS's own Runtime API server, a scripted one."""

from __future__ import annotations

import http.client
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools"))

import peers  # noqa: E402

# A test that takes longer has hung; nothing here depends on being fast.
PATIENCE = 60.0


def clean_env(**more: str) -> dict[str, str]:
    """This environment without what steers Python or a Lambda function, plus `more`."""
    prefixes = ("AWS_", "FASTLAMBDA_", "PYTHON", "LAMBDA_", "_")
    env = {k: v for k, v in os.environ.items() if not k.startswith(prefixes)}
    env.update(more)
    return env


def free_port() -> int:
    """A port that was free a moment ago, for servers that cannot choose their own."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


def wait_for_port(port: int, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if process.poll() is not None:
            raise RuntimeError(f"the server ended with {process.returncode} before it listened")
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.01)
    raise RuntimeError(f"nothing listens on port {port}")


class AwsServer:
    """AWS's own Runtime API server, which starts the function itself.

    Args:
        command: the function's process; its first argument must be an absolute path.
        env: its environment.
        cwd: its working directory.
    """

    def __init__(self, command: Sequence[str], env: dict[str, str], cwd: Path, timeout_s: int = 60) -> None:
        self.port = free_port()
        path = peers.aws_server()
        env = {**env, "AWS_LAMBDA_FUNCTION_TIMEOUT": str(timeout_s)}
        self.log_path = cwd / f"aws-server-{self.port}.log"
        self._log = self.log_path.open("wb")
        self.process = subprocess.Popen(
            [
                str(path),
                "--runtime-interface-emulator-address",
                f"127.0.0.1:{self.port}",
                "--runtime-api-address",
                f"127.0.0.1:{free_port()}",
                "--log-level",
                "error",
                *command,
            ],
            env=env,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        wait_for_port(self.port, self.process)
        self._connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)

    def invoke(self, event: bytes) -> tuple[int, bytes]:
        """Status and body of one invocation; the server answers function errors with 200 as well."""
        self._connection.request("POST", "/2015-03-31/functions/function/invocations", body=event)
        answer = self._connection.getresponse()
        return answer.status, answer.read()

    @property
    def log(self) -> str:
        """What the function and the server have written so far."""
        return self.log_path.read_text(errors="replace")

    def close(self) -> None:
        self._connection.close()
        end_process(self.process)
        self._log.close()

    def __enter__(self) -> AwsServer:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def end_process(process: subprocess.Popen[bytes]) -> None:
    """Ends a process that was started in a session of its own, and its children."""
    try:
        os.killpg(process.pid, 9)
    except ProcessLookupError:
        pass
    process.wait(PATIENCE)


class ScriptedServer:
    """A listening socket whose connections are served by `script(connection)`, one after the other.

    The script gets a connected socket and does what it likes; what it raises fails the test on leaving the block.
    Connections after the last script's are refused.
    """

    def __init__(self, *scripts: Callable[[socket.socket], None]) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._socket.getsockname()[1]}"
        self._scripts = scripts
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def _serve(self) -> None:
        try:
            self._socket.settimeout(PATIENCE)
            for n, script in enumerate(self._scripts, 1):
                connection, _ = self._socket.accept()
                if n == len(self._scripts):
                    self._socket.close()
                with connection:
                    connection.settimeout(PATIENCE)
                    script(connection)
        except BaseException as exc:
            self._failure = exc

    def __enter__(self) -> ScriptedServer:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *exc: object) -> None:
        if kind is None:
            self._thread.join(PATIENCE)
            assert not self._thread.is_alive(), "the script waits for something that did not come"
        self._socket.close()
        if kind is None and self._failure is not None:
            raise self._failure


def read_request(connection: socket.socket) -> tuple[bytes, bytes]:
    """Head (without the blank line) and body of one request with Content-Length, or none."""
    data = b""
    while b"\r\n\r\n" not in data:
        part = connection.recv(65536)
        assert part, f"the connection was closed after {data[:200]!r}"
        data += part
    head, _, body = data.partition(b"\r\n\r\n")
    length = 0
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    while len(body) < length:
        part = connection.recv(65536)
        assert part, "the connection was closed in a body"
        body += part
    assert len(body) == length, f"bytes after the request: {body[length:][:100]!r}"
    return head, body


def event_answer(
    body: bytes = b"{}", request_id: str = "id-1", headers: Sequence[str] = (), chunked: bool = False
) -> bytes:
    """An answer to GET invocation/next, as AWS's server writes it."""
    lines = [
        "HTTP/1.1 200 OK",
        "Content-Type: application/json",
        f"Lambda-Runtime-Aws-Request-Id: {request_id}",
        f"Lambda-Runtime-Deadline-Ms: {int(time.time() * 1000) + 60_000}",
        "Lambda-Runtime-Invoked-Function-Arn: arn:aws:lambda:us-east-1:012345678912:function:test_function",
        *headers,
        "Date: Thu, 01 Jan 2026 00:00:00 GMT",
        "Transfer-Encoding: chunked" if chunked else f"Content-Length: {len(body)}",
    ]
    head = "\r\n".join(lines).encode() + b"\r\n\r\n"
    if chunked:
        return head + b"%x\r\n" % len(body) + body + b"\r\n0\r\n\r\n"
    return head + body


ACCEPTED = (
    b"HTTP/1.1 202 Accepted\r\nContent-Type: application/json\r\nDate: Thu, 01 Jan 2026 00:00:00 GMT\r\n"
    b'Content-Length: 16\r\n\r\n{"status":"OK"}\n'
)


def events_script(headers: Sequence[Sequence[str]], body: bytes = b"{}") -> Callable[[socket.socket], None]:
    """A script that serves one event for each set of headers and accepts whatever is posted for it."""

    def script(connection: socket.socket) -> None:
        for n, more in enumerate(headers):
            read_request(connection)
            connection.sendall(event_answer(body, f"id-{n}", more))
            read_request(connection)
            connection.sendall(ACCEPTED)

    return script


def answer_with(status: bytes, body: bytes = b"{}", more: bytes = b"") -> bytes:
    """An answer with a length; `more` are complete header lines."""
    return b"HTTP/1.1 " + status + b"\r\n" + more + b"Content-Length: %d\r\n\r\n" % len(body) + body


class Peer:
    """A connection whose requests are read one by one, pipelined or not."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.pending = b""

    def request(self) -> tuple[bytes, bytes]:
        while b"\r\n\r\n" not in self.pending:
            part = self.connection.recv(65536)
            assert part, f"closed after {self.pending[:200]!r}"
            self.pending += part
        head, _, rest = self.pending.partition(b"\r\n\r\n")
        length = next((int(line[16:]) for line in head.split(b"\r\n") if line.startswith(b"Content-Length: ")), 0)
        while len(rest) < length:
            part = self.connection.recv(65536)
            assert part
            rest += part
        self.pending = rest[length:]
        return head + b"\r\n", rest[:length]

    def expect(self, start: bytes) -> bytes:
        head, body = self.request()
        assert head.startswith(start), head
        return body

    def send(self, data: bytes) -> None:
        self.connection.sendall(data)
