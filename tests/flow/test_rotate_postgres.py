"""The example rotates a password of a real PostgreSQL server, which this test starts."""

from __future__ import annotations

import glob
import os
import pwd
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from examples import rotate_postgres
from function_process import FunctionProcess
from rotation import STEPS, Rotation
from support import PATIENCE, clean_env

from fastlambda import exec_test

AwsClient = Callable[[str], Any]
FIRST = "first-password-0123456789"


def binaries() -> Path | None:
    """Folder of initdb and postgres, which Debian keeps off the path."""
    for folder in [*sorted(glob.glob("/usr/lib/postgresql/*/bin"), reverse=True), shutil.which("initdb") or ""]:
        path = Path(folder)
        path = path.parent if path.name == "initdb" else path
        if (path / "initdb").exists() and (path / "postgres").exists():
            return path
    return None


def server_user() -> str | None:
    """postgres refuses to run as root; None: it runs as the present user."""
    if os.getuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


class Postgres:
    """A server that listens on a unix socket in a folder of its own.

    Attributes:
        host: that folder.
        password: of the superuser `postgres`.
    """

    def __init__(self, folder: Path, bin_: Path) -> None:
        user = server_user()
        self.host = str(folder)
        self.password = secrets.token_hex(16)
        (folder / "password").write_text(self.password)
        if user is not None:
            for path in (folder, folder / "password"):
                shutil.chown(path, user)
        options: dict[str, Any] = {
            "cwd": folder,
            "env": clean_env(LC_ALL="C"),
            "stdin": subprocess.DEVNULL,
            "user": user,
            "group": None if user is None else pwd.getpwnam(user).pw_gid,
        }
        self.log = folder / "log"
        data = str(folder / "data")
        with (folder / "initdb.log").open("wb") as log:
            subprocess.run(
                [
                    bin_ / "initdb",
                    "-D",
                    data,
                    "-U",
                    "postgres",
                    "-A",
                    "scram-sha-256",
                    "--no-sync",
                    "--pwfile=password",
                ],
                check=True,
                stdout=log,
                stderr=log,
                timeout=PATIENCE,
                **options,
            )
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [
                    *(str(bin_ / "postgres"), "-D", data, "-k", self.host),
                    *(
                        "-c",
                        "listen_addresses=",
                        "-c",
                        "fsync=off",
                        "-c",
                        "log_statement=all",
                        "-c",
                        "shared_buffers=1MB",
                    ),
                ],
                stdout=log,
                stderr=log,
                **options,
            )

    def connect(self, user: str = "postgres", password: str | None = None) -> psycopg.Connection[Any]:
        return psycopg.connect(
            host=self.host, user=user, password=password or self.password, dbname="postgres", autocommit=True
        )

    def wait(self) -> None:
        """Until it takes connections."""
        for _ in range(2000):
            try:
                self.connect().close()
                return
            except psycopg.OperationalError:
                if self.process.poll() is not None:
                    raise RuntimeError(self.log.read_text()) from None
                try:
                    self.process.wait(0.03)
                except subprocess.TimeoutExpired:
                    pass
        raise RuntimeError(self.log.read_text())

    def close(self) -> None:
        self.process.terminate()  # its own children end with it
        self.process.wait(PATIENCE)


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    found = binaries()
    if found is None:
        pytest.skip("PostgreSQL is not installed (Debian: apt-get install postgresql)")
    # Not tmp_path: the path of a unix socket has 107 bytes at most, and pytest's folders are closed to other users.
    folder = Path(tempfile.mkdtemp(prefix="fl-pg-"))
    try:
        server = Postgres(folder, found)
        try:
            server.wait()
            yield server
        finally:
            server.close()
    finally:
        shutil.rmtree(folder)


@pytest.fixture
def role(postgres: Postgres) -> str:
    name = f"app {secrets.token_hex(4)}"  # a space: names have to be quoted
    with postgres.connect() as connection:
        connection.execute(f"CREATE ROLE \"{name}\" LOGIN PASSWORD '{FIRST}'")
    return name


def test_the_example_rotates_a_password_in_this_process(
    postgres: Postgres, role: str, aws_client: AwsClient, rotation_arn: str
) -> None:
    class Here(rotate_postgres.Rotation):
        def client(self, region: str | None) -> Any:
            return aws_client("secretsmanager")

    secret = {"host": postgres.host, "username": role, "password": FIRST, "kept": {"as": ["it", "is"]}}
    rotation = Rotation(aws_client("secretsmanager"), rotation_arn, secret)
    assert exec_test(Here, {"invocations": [rotation.event(step) for step in STEPS]}) == [None] * 4
    now = rotation.read("AWSCURRENT")
    assert now == secret | {"password": now["password"]}
    postgres.connect(role, now["password"]).close()


def test_the_example_rotates_a_password_of_a_real_server(
    postgres: Postgres,
    role: str,
    aws_env: dict[str, str],
    aws_client: AwsClient,
    rotation_arn: str,
    tmp_path: Path,
) -> None:
    secret = {"engine": "postgres", "host": postgres.host, "username": role, "password": FIRST, "port": 5432}
    rotation = Rotation(aws_client("secretsmanager"), rotation_arn, secret)
    env = {k: v for k, v in aws_env.items() if k != "AWS_REGION"}
    logged = postgres.log.stat().st_size
    with FunctionProcess("examples.rotate_postgres:Rotation", tmp_path / "log", env) as function:
        for round_ in range(2):
            before = rotation.read("AWSCURRENT")["password"]
            for step in STEPS:
                for _ in range(2):  # each step twice
                    result = function.invoke(rotation.event(step))
                    assert result.ok, result.body
            now = rotation.read("AWSCURRENT")
            assert now == secret | {"password": now["password"]}
            assert now["password"] != before
            postgres.connect(role, now["password"]).close()
            with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
                postgres.connect(role, before)
            assert now["password"] not in function.log
            assert now["password"].encode() not in postgres.log.read_bytes()[logged:]
            if round_ == 0:
                rotation.begin()

        # The server refuses: somebody has changed the password by hand.
        rotation.begin()
        with postgres.connect() as connection:
            connection.execute(f"ALTER ROLE \"{role}\" PASSWORD 'by hand'")
        assert function.invoke(rotation.event("createSecret")).ok
        result = function.invoke(rotation.event("setSecret"))
        assert result.error["errorType"] == "RotationError"
        assert " failed: OperationalError (its text is not told" in result.error["errorMessage"]
        assert rotation.read("AWSPENDING")["password"] not in result.body.decode() + function.log
