"""With real packages, on AWS's own server: after a time-out the next event finds a process that has not seen it."""

from __future__ import annotations

import http.server
import json
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from functions_env import functions_env
from support import AwsServer
from test_rotate_postgres import Postgres, binaries

pytestmark = pytest.mark.skipif(sys.version_info >= (3, 14), reason="the packages are not installed there")

HANDLERS = ["datadog", "mangum", "lock", "executor", "users", "connection", "psycopg"]
RUNNERS = ["Asyncpg", "AsyncLock", "Uvloop", "UvloopOfItsOwn"]
SECONDS = {"datadog": 12, "psycopg": 4, "mangum": 4, "Asyncpg": 4}
ENV = {"DD_TRACE_ENABLED": "false", "DD_FLUSH_TO_LOG": "true", "DD_INSTRUMENTATION_TELEMETRY_ENABLED": "false"}


@pytest.fixture(scope="module")
def database() -> Iterator[Postgres]:
    bin_ = binaries()
    if bin_ is None:
        pytest.skip("no PostgreSQL server here: apt-get install postgresql")
    with tempfile.TemporaryDirectory(prefix="fastlambda-") as folder:
        server = Postgres(Path(folder), bin_)
        try:
            server.wait()
            yield server
        finally:
            server.process.kill()
            server.process.wait()


class SlowServer(http.server.BaseHTTPRequestHandler):
    """Keeps connections, and lets some requests wait."""

    protocol_version = "HTTP/1.1"
    go_on = threading.Event()

    def do_GET(self) -> None:
        if self.path == "/slow":
            self.go_on.wait()
        body = self.path.encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def slow_server() -> Iterator[int]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), SlowServer) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_address[1]
        SlowServer.go_on.set()
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("kind", [*HANDLERS, *RUNNERS])
def test_the_event_after_a_time_out_finds_nothing_of_it(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    env = dict(ENV)
    database: Any = None
    if kind in ("psycopg", "Asyncpg"):
        database = request.getfixturevalue("database")
        with database.connect() as connection:
            connection.execute("DROP TABLE IF EXISTS rows; CREATE TABLE rows (what int)")
        env["DSN"] = f"postgresql://postgres:{database.password}@/postgres?host={database.host}"
    if kind == "connection":
        env["PORT"] = str(request.getfixturevalue("slow_server"))
    target = f"real_functions:{kind}" if kind in RUNNERS else "real_functions.handler"
    # Interrupted at half of the time, which is more than importing these packages takes.
    env |= {"FASTLAMBDA_TIMEOUT_MARGIN_MS": "60000", "KIND": kind}
    command = [sys.executable, "-m", "fastlambda", target]
    with AwsServer(command, functions_env(**env), tmp_path, SECONDS.get(kind, 2)) as server:
        answers = [json.loads(server.invoke(b'{"do": "%s"}' % do)[1]) for do in (b"ok", b"slow", b"ok", b"ok")]
    first, slow, second, third = answers
    assert slow.get("errorType") == "Runtime.InvocationTimeout", answers
    assert "interrupted" in slow["errorMessage"], "the thread had to answer"
    assert "real_functions.py" in "".join(slow["stackTrace"])
    assert first["pid"] != second["pid"] == third["pid"], answers
    assert {**first, "pid": 0} == {**second, "pid": 0} == {**third, "pid": 0}
    if database is not None:
        with database.connect() as connection:
            assert [row[0] for row in connection.execute("SELECT what FROM rows")] == [1, 1, 1]
