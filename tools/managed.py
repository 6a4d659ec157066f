"""A managed Python runtime in a folder: the same function on AWS's client and, with the layer, on fastlambda.

  python3 dev.py managed                cold starts of both, side by side
  python3 dev.py managed --rounds 40 --python 3.13

The folder has /var/lang, /var/runtime, /var/task and /opt as in Lambda; its start scripts do what AWS's do (Runtime API
contract, "Deployment"), AWS's client is the real one from PyPI, and AWS's own Runtime API server drives it.
What is not as in Lambda: no micro-VM and no file system of its own, and /var/runtime holds no SDK.
"""
# extras: dev

from __future__ import annotations

import argparse
import http.client
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from support import PATIENCE, AwsServer, clean_env  # noqa: E402

CLIENT = "awslambdaric==4.2.2"

BOOTSTRAP = """\
#!/bin/sh
# Does what AWS's start script does around the exec wrapper.
export AWS_EXECUTION_ENV=AWS_Lambda_python{version}
export LAMBDA_TASK_ROOT={root}/var/task LAMBDA_RUNTIME_DIR={root}/var/runtime
export _HANDLER="$1"
cd "$LAMBDA_TASK_ROOT" || exit 1
set -- {root}/var/lang/bin/python{version} {root}/var/runtime/bootstrap.py
if [ -n "$AWS_LAMBDA_EXEC_WRAPPER" ]; then
    [ -f "$AWS_LAMBDA_EXEC_WRAPPER" ] || exit 127
    [ -x "$AWS_LAMBDA_EXEC_WRAPPER" ] || exit 126
    exec "$AWS_LAMBDA_EXEC_WRAPPER" "$@"
fi
exec "$@"
"""

# Does what AWS's start module does, by the contract's table of sys.path.
BOOTSTRAP_PY = """\
import os, site, sys
task, runtime = os.environ["LAMBDA_TASK_ROOT"], os.environ["LAMBDA_RUNTIME_DIR"]
layers = ["{root}/opt/python/lib/python{version}/site-packages", "{root}/opt/python"]
lang = "{root}/var/lang/lib/python{version}/site-packages"
if "PYTHONPATH" in os.environ:
    layers = []
    sys.path.insert(0, task)
else:
    sys.path[:0] = [task, *layers, lang]
    os.environ["PYTHONPATH"] = runtime
for folder in [task, *layers]:
    site.addsitedir(folder)
from awslambdaric.__main__ import main
main([sys.argv[0], os.environ["_HANDLER"]])
"""

# A function that tells what it sees: with and without the layer it must see the same.
FUNCTION = """\
import os
import sys

import from_layer
import from_pth

ROOT = os.environ["LAMBDA_TASK_ROOT"].removesuffix("/var/task")


def handler(event, context):
    if event.get("fail"):
        raise KeyError("as asked")
    return {
        "event": event,
        "path": [p.removeprefix(ROOT) for p in dict.fromkeys(sys.path) if p.startswith(ROOT)],
        "argv": [a.removeprefix(ROOT) for a in sys.argv],
        "cwd": os.getcwd().removeprefix(ROOT),
        "modules": [from_layer.NAME, from_pth.NAME],
        "PYTHONPATH": os.environ.get("PYTHONPATH", "").removeprefix(ROOT),
        "executable": sys.executable.removeprefix(ROOT),
        "builtins": [type(exit).__name__, type(quit).__name__, type(help).__name__],
        "function": [context.function_name, context.function_version, context.memory_limit_in_mb],
        "arn": context.invoked_function_arn,
        "has_time": 0 < context.get_remaining_time_in_millis() <= 60_000,
        "has_id": len(context.aws_request_id) > 0,
    }
"""


def put_python(lang: Path, interpreter: str) -> str:
    """An interpreter with a prefix of its own, on the standard library of another; returns its version."""
    show = "import os, sys; print('%d.%d' % sys.version_info[:2], os.path.dirname(os.__file__), sys.base_prefix)"
    said = subprocess.check_output([interpreter, "-I", "-S", "-c", show], text=True).split()
    version, library, prefix = said
    (lang / "bin").mkdir(parents=True)
    shutil.copy(f"{prefix}/bin/python{version}", lang / "bin")
    own = lang / f"lib/python{version}"
    (own / "site-packages").mkdir(parents=True)
    for entry in os.listdir(library):
        if entry not in ("site-packages", "dist-packages"):
            (own / entry).symlink_to(Path(library, entry))
    return version


def aws_client(version: str) -> Path:
    """The folder with AWS's client for a Python version, from the cache."""
    folder = ROOT / ".cache" / f"{CLIENT.replace('==', '-')}-{version}"
    if not folder.exists():
        folder.parent.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as work:
            pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "-q"]
            pip += ["--only-binary=:all:", f"--python-version={version}", f"--target={work}/client", CLIENT]
            subprocess.run(pip, check=True)
            os.replace(f"{work}/client", folder)
    return folder


class Managed:
    """The folder.

    Args:
        root: an empty folder.
        interpreter: any Python of the wanted version.
        layer: the zip of a layer; None: there is none.
        function: source of app.py.
    """

    def __init__(self, root: Path, interpreter: str, layer: Path | None, function: str = FUNCTION) -> None:
        self.root = root
        self.task = root / "var/task"
        self.version = put_python(root / "var/lang", interpreter)
        runtime = root / "var/runtime"
        shutil.copytree(aws_client(self.version), runtime)
        names = {"root": root, "version": self.version}
        (runtime / "bootstrap").write_text(BOOTSTRAP.format(**names))
        (runtime / "bootstrap").chmod(0o755)
        (runtime / "bootstrap.py").write_text(BOOTSTRAP_PY.format(**names))
        if layer is not None:
            with zipfile.ZipFile(layer) as packed:
                for info in packed.infolist():
                    path = Path(packed.extract(info, root / "opt"))
                    path.chmod(info.external_attr >> 16 & 0o777)
        # A layer of the owner's, and a .pth file in the function.
        (root / "opt/python").mkdir(parents=True, exist_ok=True)
        (root / "opt/python/from_layer.py").write_text('NAME = "layer"\n')
        (self.task / "vendored").mkdir(parents=True)
        (self.task / "vendored/from_pth.py").write_text('NAME = "pth"\n')
        (self.task / "vendored.pth").write_text("vendored\n")
        (self.task / "app.py").write_text(function)
        # Lambda's file system is read-only: what is compiled at all is compiled before.
        for place in ("var/runtime", "var/task"):
            python = root / f"var/lang/bin/python{self.version}"
            subprocess.run([python, "-S", "-m", "compileall", "-q", root / place], check=True, env=clean_env())

    def serve(self, wrapper: str | None, logs: Path, handler: str = "app.handler", **env: str) -> AwsServer:
        """AWS's server in front of it.

        Args:
            wrapper: AWS_LAMBDA_EXEC_WRAPPER, such as "/opt/fastlambda-wrapper", meant inside the folder.
            logs: where its log goes.
            handler: module.function.
            **env: more variables.
        """
        more = {"PYTHONDONTWRITEBYTECODE": "1", **env}
        if wrapper is not None:
            more["AWS_LAMBDA_EXEC_WRAPPER"] = f"{self.root}{wrapper}"
        return AwsServer([f"{self.root}/var/runtime/bootstrap", handler], clean_env(**more), logs)


def make_layer(out: Path, python: str, find_links: str | None, *more: str) -> None:
    """The layer, by the command that users have."""
    command = [sys.executable, "-m", "fastlambda.local.cli", "layer", "--python", python, "-o", str(out), *more]
    subprocess.run([*command, *(["--find-links", find_links] if find_links else [])], check=True)


def cold_start(managed: Managed, wrapper: str | None, logs: Path) -> float:
    """Milliseconds from the request to the answer when the function has to be started for it."""
    with managed.serve(wrapper, logs) as server:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)
        connection.connect()
        start = time.perf_counter()
        connection.request("POST", "/2015-03-31/functions/function/invocations", body=b'{"n": 1}')
        body = connection.getresponse().read()
        took = (time.perf_counter() - start) * 1e3
        connection.close()
        if b'"modules"' not in body:
            raise SystemExit(f"managed: {body!r}\n{server.log}")
    return took


def main() -> None:
    parser = argparse.ArgumentParser(prog="dev.py managed", description=__doc__.splitlines()[0])
    parser.add_argument("--interpreter", default=sys.executable, help="any Python of the wanted version")
    parser.add_argument("--rounds", type=int, default=25, help="cold starts of each (default: %(default)s)")
    parser.add_argument("--find-links", default=str(ROOT / "wheelhouse"), help="default: wheelhouse/")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        show = "import sys; print('%d.%d' % sys.version_info[:2])"
        version = subprocess.check_output([args.interpreter, "-c", show], text=True).strip()
        make_layer(work / "layer.zip", version, args.find_links)
        managed = Managed(work / "root", args.interpreter, work / "layer.zip")
        contenders = {"AWS's client": None, "fastlambda layer": "/opt/fastlambda-wrapper"}
        took: dict[str, list[float]] = {name: [] for name in contenders}
        for _ in range(args.rounds):
            for name, wrapper in contenders.items():
                took[name].append(cold_start(managed, wrapper, work))
        base = statistics.median(took["AWS's client"])
        print(f"\ncold start, Python {version}, request to answer through AWS's server, {args.rounds} of each, in turn")
        print(f"{'':18}{'minimum':>10}{'median':>10}{'slowest':>10}")
        for name, values in took.items():
            middle = statistics.median(values)
            line = f"{name:18}{min(values):8.1f}ms{middle:8.1f}ms{max(values):8.1f}ms"
            print(f"{line}   {middle / base:.2f} x AWS's client")


if __name__ == "__main__":
    main()
