"""The end-to-end suite for an installed wheel, on any Python that a command can start.

Imports nothing of fastlambda: the command may run on another architecture or another libc than this process.
"""

import json
import shutil
import subprocess
from pathlib import Path

from support import ROOT, AwsServer, clean_env

FUNCTION = """\
import asyncio
import os
import sys

from fastlambda import Runner


def echo(event, context):
    return event


def fail(event, context):
    raise ValueError("as asked")


def about(event, context):
    import fastlambda
    from fastlambda import _core

    return {
        "version": fastlambda.__version__,
        "extension": _core.__file__,
        "python": "%d.%d" % sys.version_info[:2],
        "machine": os.uname().machine,
        "remaining": context.get_remaining_time_in_millis(),
        "name": context.function_name,
    }


class SyncEcho(Runner[None, dict, dict]):
    def run(self, shared, event):
        return event.event


class AsyncEcho(Runner[None, dict, dict]):
    async def run(self, shared, event):
        await asyncio.sleep(0)
        return event.event
"""

# Below and above 2048 bytes AWS's server frames bodies differently.
EVENTS = [
    b"{}",
    '{"text":"h\u00e9llo \U0001f600","n":123456789012345678901234567890,"x":[1.5,true,null]}'.encode(),
    b'{"text":"' + b"0123456789abcdef" * 200 + b'"}',
    b'{"text":"' + b"0123456789abcdef" * 20_000 + b'"}',
]


class Installed:
    """An installed fastlambda.

    Args:
        python: the command that starts its interpreter, the first word an absolute path.
        folder: an empty folder, not in the checkout.
        env: variables that the command needs.
    """

    def __init__(self, python: list[str], folder: Path, **env: str) -> None:
        self.python = python
        self.folder = folder
        self.env = env
        (folder / "functions.py").write_text(FUNCTION)
        assert ROOT not in folder.parents

    def serve(self, target: str, **env: str) -> AwsServer:
        return AwsServer([*self.python, "-m", "fastlambda", target], clean_env(**self.env, **env), self.folder)

    def run(self, *args: str, **env: str) -> subprocess.CompletedProcess[str]:
        command = [*self.python, *args]
        return subprocess.run(
            command, cwd=self.folder, env=clean_env(**self.env, **env), capture_output=True, text=True
        )

    def command(self, name: str, *args: str) -> subprocess.CompletedProcess[str]:
        """Runs a console script that was installed beside the interpreter."""
        command = [str(Path(self.python[0]).with_name(name)), *args]
        return subprocess.run(command, cwd=self.folder, env=clean_env(**self.env), capture_output=True, text=True)

    def copy_wheel_of(self, into: Path) -> Path:
        """A copy of the installed package, to be damaged."""
        done = self.run("-c", "import fastlambda; print(fastlambda.__file__)")
        assert done.returncode == 0, done.stderr
        shutil.copytree(Path(done.stdout.strip()).parent, into / "fastlambda")
        return into / "fastlambda"


def check_answers(installed: Installed, target: str, **env: str) -> None:
    """Every event comes back as it was."""
    with installed.serve(target, **env) as server:
        for _ in range(2):
            for event in EVENTS:
                status, body = server.invoke(event)
                assert (status, json.loads(body)) == (200, json.loads(event)), f"{body[:300]!r}\n{server.log}"


def check_failures(installed: Installed) -> None:
    """What fails is reported with its place, and the process goes on."""
    with installed.serve("functions.fail") as server:
        for _ in range(2):
            error = json.loads(server.invoke(b"{}")[1])
            assert (error["errorType"], error["errorMessage"]) == ("ValueError", "as asked"), server.log
            assert "functions.py" in error["stackTrace"][0]


def check_init_failure(installed: Installed) -> None:
    """A handler that is not there is told to the caller."""
    with installed.serve("functions.nothing") as server:
        error = json.loads(server.invoke(b"{}")[1])
        assert error["errorType"] == "Runtime.HandlerNotFound", server.log


def about(installed: Installed) -> dict[str, object]:
    """What the function says about where it runs."""
    with installed.serve("functions.about") as server:
        said: dict[str, object] = json.loads(server.invoke(b"{}")[1])
    assert str(said["extension"]).endswith("_core.abi3.so"), said
    assert not str(said["extension"]).startswith(str(ROOT / "src")), "the checkout is tested, not the wheel"
    return said


def check_everything(installed: Installed) -> dict[str, object]:
    """The whole suite; returns what the function says about where it runs."""
    said = about(installed)
    for target in ("functions.echo", "functions:SyncEcho", "functions:AsyncEcho"):
        check_answers(installed, target)
    check_answers(installed, "functions.echo", FASTLAMBDA_HTTP="h11")
    check_answers(installed, "functions.echo", FASTLAMBDA_JSON="orjson")
    check_failures(installed)
    check_init_failure(installed)
    return said
