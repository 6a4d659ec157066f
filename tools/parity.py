"""`fastlambda package` against pip on the Python that it packages for, file by file.

  python3 dev.py parity                                   every Python of this machine, both architectures
  python3 dev.py parity --python 3.14=/path/to/python3.14 this one alone, which lies elsewhere; may be repeated

A project with thirty popular requirements is packaged for each runtime, and installed by pip running on that Python.
Every file that pip's RECORD names must be in the zip with the same hash; what is not, and what the zip has beyond it,
is listed.
The outcome is tools/results/parity.json, a row for each target; a row is replaced when it is made anew.  Exit status 1:
a difference that docs/packages.md does not name.

What is not as in Lambda: pip runs on this machine's Python, which has another patch release, and is told by the hook of
PEP 600 (`_manylinux`) that glibc is Lambda's.  For the other architecture it is told, by a sitecustomize, that this
machine is one: os.uname() and sysconfig.get_platform() say so.  Our zip is stored, not deflated, and without the
bytecode that is compiled into it.  Downloads some 100 MB for each target.
"""
# extras: dev

from __future__ import annotations

import argparse
import base64
import csv
import hashlib
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from support import clean_env  # noqa: E402

from fastlambda.packaging.bytecode import find_python  # noqa: E402
from fastlambda.packaging.target import ARCHITECTURES, Target  # noqa: E402

RESULTS = ROOT / "tools/results/parity.json"
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
# Popular on Lambda; with native code, abi3 wheels, programs, extras, markers for Pythons, machines, implementations.
REQUIREMENTS = """\
aiohttp
anyio
attrs
aws-lambda-powertools
beautifulsoup4
boto3
certifi
charset-normalizer
click
cryptography
fastapi
httpx[http2]
jinja2
jsonschema[format]
markdown
msgpack
numpy
openpyxl
orjson
protobuf
psycopg2-binary
pydantic[email]
pyjwt[crypto]
python-dateutil
pyyaml
redis
requests
sqlalchemy
tenacity
uvicorn[standard]
"""
NOTES = ("RECORD", "INSTALLER", "REQUESTED", "direct_url.json")
DIFFERENCES = ("different", "only pip", "only ours")
# The command, without its slow parts, which have no say in what is compared.
PACKAGE = """\
import sys
from fastlambda.local import cli
from fastlambda.packaging import archive, bytecode
archive.LEVEL, bytecode.find_python = 0, lambda *_: None
sys.exit(cli.main(sys.argv[1:]))
"""
TOLD = """\
import os
import sysconfig

_real, _machine = os.uname(), os.environ["PARITY_MACHINE"]
os.uname = lambda: os.uname_result((*tuple(_real)[:4], _machine))
sysconfig.get_platform = lambda: "linux-" + _machine
"""
GLIBC = """\
import os

_newest = int(os.environ["PARITY_GLIBC"])


def manylinux_compatible(major, minor, arch):
    return (major, minor) <= (2, _newest)
"""


def by_pip(python: str, target: Target, requirements: Path, work: Path) -> dict[str, str]:
    """Installs with pip on a Python: file, and its hash as RECORD gives it; "" for files that RECORD does not name."""
    into, told = work / "pip", work / "told"
    told.mkdir()
    (told / "sitecustomize.py").write_text(TOLD)
    (told / "_manylinux.py").write_text(GLIBC)
    glibc = target.platform_tags()[0].split("_")[2]
    env = clean_env(PYTHONPATH=str(told), PARITY_MACHINE=target.machine, PARITY_GLIBC=glibc)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", python, "install", "-q"]
    command = [*pip, "--no-compile", "--only-binary=:all:", "--target", str(into), "-r", str(requirements)]
    done = subprocess.run(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        raise SystemExit(f"parity: pip on {python} failed:\n{done.stdout}")
    files = {path.relative_to(into).as_posix(): "" for path in into.rglob("*") if path.is_file()}
    for record in into.glob("*.dist-info/RECORD"):
        for name, digest, _ in csv.reader(record.read_text().splitlines()):
            inside = os.path.normpath(name).replace("../../bin/", "bin/")
            if inside in files and digest:
                files[inside] = digest
    return files


def by_us(target: Target, requirements: Path, work: Path) -> dict[str, str]:
    """Packages: file, and its hash as RECORD writes it."""
    source, out = work / "src", work / "function.zip"
    source.mkdir()
    (source / "requirements.txt").write_bytes(requirements.read_bytes())
    command = [sys.executable, "-c", PACKAGE, "package", str(source), "-o", str(out)]
    command += ["--python", target.python, "--arch", target.arch]
    subprocess.run(command, env=clean_env(), check=True, stdout=subprocess.DEVNULL)
    with zipfile.ZipFile(out) as packed:
        names = [name for name in packed.namelist() if "/__pycache__/" not in f"/{name}" and name != "requirements.txt"]
        digests = {name: hashlib.sha256(packed.read(name)).digest() for name in names}
    return {name: "sha256=" + base64.urlsafe_b64encode(d).decode().rstrip("=") for name, d in digests.items()}


def compare(python: str, target: Target) -> dict[str, object]:
    """One row of the results."""
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        (work / "r.txt").write_text(REQUIREMENTS)
        ours, theirs = by_us(target, work / "r.txt", work), by_pip(python, target, work / "r.txt", work)
        bare = {name for name, digest in theirs.items() if not digest}
        for name in bare & ours.keys():  # RECORD has no hash of it: the file itself
            digest = hashlib.sha256((work / "pip" / name).read_bytes()).digest()
            theirs[name] = "sha256=" + base64.urlsafe_b64encode(digest).decode().rstrip("=")
    lacking = theirs.keys() - ours.keys()
    scripts = sorted(name for name in lacking if name.startswith("bin/"))
    notes = [name for name in lacking if ".dist-info/" in name and name.rpartition("/")[2] in NOTES]
    bytecode = sorted(name for name in lacking if "/__pycache__/" in f"/{name}")
    other = sorted(lacking - set(scripts) - set(notes) - set(bytecode))
    version = subprocess.check_output([python, "-c", "import platform; print(platform.python_version())"], text=True)
    return {
        "python": target.python,
        "arch": target.arch,
        "date": time.strftime("%Y-%m-%d"),
        "pip runs on": f"CPython {version.strip()}",
        "packages": sorted(name.partition(".dist-info/")[0] for name in ours if name.endswith(".dist-info/METADATA")),
        "equal": sum(ours.get(name) == digest for name, digest in theirs.items()),
        "scripts left out": scripts,
        "bytecode left out": bytecode,
        "notes left out": len(notes),
        "different": sorted(name for name in ours.keys() & theirs.keys() if ours[name] != theirs[name]),
        "only pip": other,
        "only ours": sorted(ours.keys() - theirs.keys()),
    }


def write(out: Path, rows: list[dict[str, object]]) -> None:
    """The results so far; rows of an earlier run stay where they are not made anew."""
    if out.exists():
        earlier = json.loads(out.read_text())
        made = {(row["python"], row["arch"]) for row in rows}
        if earlier["requirements"] == REQUIREMENTS.split():
            rows = rows + [row for row in earlier["targets"] if (row["python"], row["arch"]) not in made]
    document = {
        "made by": "python3 dev.py parity",
        "machine": f"{platform.system()} {platform.machine()}",
        "requirements": REQUIREMENTS.split(),
        "targets": sorted(rows, key=lambda row: (str(row["python"]), str(row["arch"]))),
    }
    out.parent.mkdir(exist_ok=True)
    out.write_text(json.dumps(document, indent=1) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(prog="dev.py parity", description=__doc__.splitlines()[0])
    parser.add_argument("--python", action="append", metavar="3.X[=PATH]", help="default: 3.11 to 3.14, if found")
    parser.add_argument("--arch", choices=sorted(ARCHITECTURES), help="default: both")
    parser.add_argument("-o", "--out", type=Path, default=RESULTS)
    args = parser.parse_args()
    rows: list[dict[str, object]] = []
    for word in args.python or PYTHONS:
        version, _, given = word.partition("=")
        python = given or find_python(version)
        if python is None:
            print(f"{version}: not run, there is no such Python here; --python {version}=PATH names one")
            continue
        for arch in [args.arch] if args.arch else ARCHITECTURES:
            row = compare(python, Target(version, arch))
            rows.append(row)
            found = ", ".join(f"{name}: {len(list(row[name]))}" for name in DIFFERENCES)  # type: ignore[call-overload]
            print(f"{version} {arch}: {row['equal']} files equal, {found}", flush=True)
            write(args.out, rows)
    sys.exit(any(row[name] for row in rows for name in DIFFERENCES))


if __name__ == "__main__":
    main()
