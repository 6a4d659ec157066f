"""Fills wheelhouse/: the wheels of both distributions, their sdists, the wheels of what they need, and SHA256SUMS.

Owns the cross-compilation.  Promises: two runs with the same tools give the same bytes; what TARGETS promises is built,
or the run fails.  Compiles with zig (PyPI: ziglang), so no container and no second machine is needed.
Source: PEP 600 (manylinux_2_17), PEP 656 (musllinux), reproducible-builds.org (SOURCE_DATE_EPOCH).

The headers of the Python that runs this serve every target: the limited API asks pyconfig.h only for the sizes of C
types, and those are the same on all the targets (LP64).
"""
# extras: wheels

import argparse
import base64
import gzip
import hashlib
import io
import os
import platform
import re
import runpy
import shutil
import struct
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
import time
import zipfile
import zlib
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata
from pathlib import Path

import zopfli.zlib
from elftools.elf.elffile import ELFFile

ROOT = Path(__file__).resolve().parent.parent
WHEELHOUSE = ROOT / "wheelhouse"
VERSION = runpy.run_path(str(ROOT / "src/fastlambda/_version.py"))["__version__"]

# Wheel platform tag -> zig's target.  glibc 2.17 is older than that of every Lambda runtime (2.26 and 2.34).
TARGETS = {
    "manylinux_2_17_x86_64": "x86_64-linux-gnu.2.17",
    "manylinux_2_17_aarch64": "aarch64-linux-gnu.2.17",
    "musllinux_1_2_x86_64": "x86_64-linux-musl",
    "musllinux_1_2_aarch64": "aarch64-linux-musl",
}
# Nobody has run these: they are built on request only, into wheelhouse/untested/.
MACOS = {
    "macosx_11_0_x86_64": "x86_64-macos.11.0",
    "macosx_11_0_arm64": "aarch64-macos.11.0",
}
PYTHONS = ("3.11", "3.12", "3.13", "3.14", "3.15")
DEPENDENCIES = ("h11==0.16.0", "orjson==3.11.4")
WITHOUT_ORJSON = ("3.15",)  # no wheels for Lambda's glibc yet; pyproject.toml says the same
# 2025-01-01: any fixed time after 1980 does (zip knows none before).
EPOCH = int(os.environ.get("SOURCE_DATE_EPOCH", "1735689600"))
# The extension is part of every cold start; the rest of a wheel only of its download.
MAX_EXTENSION = 190_000
MAX_WHEEL = 215_000
MAX_LOCAL_WHEEL = 90_000
# What each of the two distributions may hold: they share the folder fastlambda/ and no file in it.
BELONGS = re.compile(
    r"fastlambda/(?!local/|packaging/|testing/)(.+\.pyi?|py\.typed|_core\.abi3\.so)|fastlambda-[^/]+\.dist-info/.+"
)
BELONGS_LOCAL = re.compile(
    r"fastlambda/((local|testing)/.+\.py|packaging/([a-z_]+\.py|[a-z-]+\.sh))|fastlambda_local-[^/]+\.dist-info/.+"
)
NEEDED = (
    "fastlambda/__init__.py",
    "fastlambda/_core.abi3.so",
    "fastlambda/py.typed",
    "licenses/LICENSE",
    "sboms/fastlambda.cdx.json",
)
NEEDED_LOCAL = (
    *("fastlambda/local/cli.py", "fastlambda/local/commands/invoke.py", "fastlambda/packaging/wrapper.sh"),
    *("entry_points.txt", "licenses/LICENSE", "sboms/fastlambda_local.cdx.json"),
)

# What the extension takes from the C library without a version, because libc.so.6 of glibc 2.17 does not have it: see
# glibc_alone().  All of them mean the same in every version since.
THREADS = {
    *("pthread_attr_setstacksize", "pthread_condattr_setclock", "pthread_create", "pthread_join", "pthread_kill"),
    *("pthread_once", "pthread_sigmask", "dlsym"),
}

# What the stack protector of aarch64 compares with.  It is the dynamic linker's, which every process has loaded.
CANARY = "__stack_chk_guard"

# The description of a wheel's own contents for scanners; the same code describes a layer.
SBOM = runpy.run_path(str(ROOT / "src/fastlambda/packaging/sbom.py"))

# Runs setup.py with neutral flags: how the building Python was compiled must not show in the wheels.
SETUP = """
import runpy, sys, sysconfig
cc, ld = sys.argv.pop(1), sys.argv.pop(1)
sysconfig.get_config_vars().update(CC=cc, CFLAGS="-DNDEBUG -fwrapv", OPT="", CCSHARED="-fPIC", LDSHARED=ld, LDFLAGS="")
sys.argv[0] = "setup.py"
runpy.run_path("setup.py", run_name="__main__")
"""


def environment() -> dict[str, str]:
    """The environment of a build: nothing of the caller's compiler settings."""
    taken = re.compile(r"CC|CXX|CPP|AR|LD.*|.*FLAGS|FASTLAMBDA_.*|PYTHON.*")
    kept = {name: value for name, value in os.environ.items() if not taken.fullmatch(name)}
    return kept | {"SOURCE_DATE_EPOCH": str(EPOCH), "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1"}


def run(*argv: object, cwd: Path = ROOT, **variables: str) -> str:
    """Runs a command and returns what it printed.

    Raises:
        SystemExit: it failed; its output is shown.
    """
    done = subprocess.run(
        [str(word) for word in argv],
        cwd=cwd,
        env=environment() | variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode:
        raise SystemExit(f"{done.stdout}\nwheelhouse: {' '.join(map(str, argv[:4]))} ended with {done.returncode}")
    return done.stdout


# ---- the same bytes every time ------------------------------------------------------------------------------------


def settle_sdist(path: Path) -> None:
    """Rewrites an sdist with sorted names, one time, no owner and plain permissions."""
    packed = io.BytesIO()
    with tarfile.open(path) as old, tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as new:
        for member in sorted((m for m in old if m.isfile()), key=lambda m: m.name):
            plain = tarfile.TarInfo(member.name)
            plain.size, plain.mtime, plain.mode = member.size, EPOCH, 0o644
            new.addfile(plain, old.extractfile(member))
    with open(path, "wb") as raw, gzip.GzipFile("", "wb", 9, raw, mtime=EPOCH) as zipped:
        zipped.write(packed.getvalue())


def settle_wheel(path: Path) -> None:
    """Rewrites a wheel with sorted names (RECORD last, as PEP 427 recommends), one time and plain permissions."""
    with zipfile.ZipFile(path) as old:
        files = {name: old.read(name) for name in old.namelist() if not name.endswith("/")}
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        names = sorted(files, key=lambda n: (n.endswith("/RECORD"), n))
        packed = pool.map(lambda name: deflate(files[name]), names)
        path.write_bytes(put_zip([(name, files[name], data) for name, data in zip(names, packed, strict=True)]))


def deflate(data: bytes) -> bytes:
    """A plain deflate stream, as small as zopfli finds one: 4 to 5 % below zlib's level 9.  Any unzip reads it."""
    return zopfli.zlib.compress(data, numiterations=15)[2:-4]  # without zlib's head and check sum


def put_zip(files: list[tuple[str, bytes, bytes]]) -> bytes:
    """A zip file: zipfile cannot take what is deflated already.

    Args:
        files: ASCII name, content, and that deflated.

    Source: PKWARE APPNOTE 6.3, sections 4.3.7, 4.3.12 and 4.3.16.
    """
    year, month, day, hour, minute, second = time.gmtime(EPOCH)[:6]
    when = (hour << 11 | minute << 5 | second // 2, (year - 1980) << 9 | month << 5 | day)
    body, directory = bytearray(), bytearray()
    for name, content, packed in files:
        method = 8 if len(packed) < len(content) else 0
        data, mode = packed if method else content, 0o100755 if name.endswith(".so") else 0o100644
        common = (20, 0, method, *when, zlib.crc32(content), len(data), len(content), len(name), 0)
        directory += (
            b"PK\1\2" + struct.pack("<BB5H3I5H2I", 20, 3, *common, 0, 0, 0, mode << 16, len(body)) + name.encode()
        )
        body += b"PK\3\4" + struct.pack("<5H3I2H", *common) + name.encode() + data
    end = struct.pack("<4H2IH", 0, 0, len(files), len(files), len(directory), len(body), 0)
    return bytes(body + directory + b"PK\5\6" + end)


def add_sbom(path: Path, tools: tuple[str, ...], compiled_in: tuple[str, ...] = ()) -> None:
    """Puts a CycloneDX document into a wheel's metadata. PEP 770; what the wheel requires is in METADATA.

    Args:
        path: the wheel.
        tools: distributions of this Python that made it.
        compiled_in: those of them that have left code in it.
    """
    with zipfile.ZipFile(path) as old:
        files = {name: old.read(name) for name in old.namelist() if not name.endswith("/")}
    (record,) = (name for name in files if name.endswith(".dist-info/RECORD"))
    name = path.name.partition("-")[0]
    made = {tool: SBOM["component"](tool, metadata.version(tool)) for tool in tools}
    document = SBOM["document"](
        SBOM["component"](name.replace("_", "-"), VERSION, licenses=[{"expression": "MIT"}]),
        [made[tool] for tool in compiled_in],
        list(made.values()),
    )
    place = f"{record.removesuffix('RECORD')}sboms/{name}.cdx.json"
    digest = base64.urlsafe_b64encode(hashlib.sha256(document).digest()).rstrip(b"=").decode()
    files[place] = document
    files[record] = f"{place},sha256={digest},{len(document)}\n".encode() + files[record]
    with zipfile.ZipFile(path, "w") as new:
        for name, content in files.items():
            new.writestr(name, content)


# ---- building -----------------------------------------------------------------------------------------------------


STRAYS = shutil.ignore_patterns("__pycache__", "*.so", "*.egg-info", "_core.c", "*.o")


def build_sdist(out: Path, work: Path) -> Path:
    """The runtime's sdist, from a copy of the files that belong to it: a checkout's egg-info would leak into it."""
    for name in ("MANIFEST.in", "pyproject.toml", "setup.py", "README.md", "CHANGELOG.md", "LICENSE"):
        shutil.copy(ROOT / name, work)
    shutil.copytree(ROOT / "src", work / "src", ignore=STRAYS)
    return pack_sdist("fastlambda", out, work)


def build_local_sdist(out: Path, work: Path) -> Path:
    """The sdist of the developer's tools: packages/local with its part of the one tree."""
    for path in (ROOT / "packages/local").iterdir():
        if path.is_file():
            shutil.copy(path, work)
    package = work / "src/fastlambda"
    for room in ("local", "packaging", "testing"):
        shutil.copytree(ROOT / "src/fastlambda" / room, package / room, ignore=STRAYS)
    shutil.copy(ROOT / "src/fastlambda/_version.py", package)
    return pack_sdist("fastlambda_local", out, work)


def pack_sdist(name: str, out: Path, work: Path) -> Path:
    """The sdist of what lies in a folder."""
    build = "import sys; from setuptools import build_meta; build_meta.build_sdist(sys.argv[1])"
    run(sys.executable, "-c", build, out.resolve(), cwd=work)
    sdist = out / f"{name}-{VERSION}.tar.gz"
    settle_sdist(sdist)
    return sdist


def build_local_wheel(sdist: Path, out: Path, work: Path) -> Path:
    """The wheel of the developer's tools: pure Python, one for all platforms."""
    with tarfile.open(sdist) as packed:
        packed.extractall(work, filter="data")
    (tree,) = work.iterdir()
    build = "import sys; from setuptools import build_meta; build_meta.build_wheel(sys.argv[1])"
    run(sys.executable, "-c", build, out.resolve(), cwd=tree)
    wheel = out / f"fastlambda_local-{VERSION}-py3-none-any.whl"
    add_sbom(wheel, ("setuptools", "zopfli"))
    settle_wheel(wheel)
    return wheel


def unpack(sdist: Path, work: Path) -> Path:
    """The unpacked sdist with its C generated: once, for all targets."""
    with tarfile.open(sdist) as packed:
        packed.extractall(work, filter="data")
    (tree,) = work.iterdir()
    run(sys.executable, "setup.py", "-q", "--version", cwd=tree)
    return tree


def musl_stand_in(cc: str, target: str, work: Path) -> Path:
    """An empty libc with the name that Alpine gives musl: zig would link against "libc.so", unknown to auditwheel."""
    soname = f"libc.musl-{target.partition('-')[0]}.so.1"
    (work / "empty.c").touch()
    flags = ["-nostdlib", "-shared", f"-Wl,-soname,{soname}"]
    run(*cc.split(), *flags, work / "empty.c", "-o", work / soname)
    return work / soname


def glibc_alone(cc: str, work: Path) -> str:
    """zig's libc.so.6 and its static part, for a link without its libpthread.so.0.

    Since glibc 2.34 that library is empty, and still a needed one is looked up, opened and mapped at every start.
    Without it, what libc.so.6 of 2.17 does not have stays undefined and without a version (THREADS).  A newer glibc has
    it in libc.so.6, an older one in the libpthread.so.0 that Python itself needs: that lies where Python's own symbols
    are found, or the extension would not load at all.
    """
    (work / "empty.c").touch()
    out = str(work / "empty.so")
    said = run(*cc.split(), "-shared", "-v", work / "empty.c", "-o", out)
    (link,) = (line.split() for line in said.splitlines() if line.startswith("ld.lld ") and out in line.split())
    found = []
    for name in ("libc.so.6", "libc_nonshared.a"):
        (path,) = (word for word in link if word.endswith(f"/{name}"))
        found.append(shutil.copy(path, work))
    return " ".join(map(str, found))


def build_wheel(source: Path, platform: str, target: str, out: Path, work: Path) -> Path:
    """One wheel.

    Args:
        source: what unpack() returned.
        platform: the wheel's platform tag.
        target: zig's name for it.
        out: the folder where the wheel goes.
        work: an empty folder.
    """
    tree = shutil.copytree(source, work / "tree")
    cc = f"{sys.executable} -m ziglang cc -target {target}"
    if "gnu" in target:
        ld = f"{cc} -nostdlib -shared {glibc_alone(cc, work)}"
    elif "musl" in target:
        ld = f"{cc} -nostdlib -shared -Wl,--no-as-needed {musl_stand_in(cc, target, work)}"
    else:
        ld = f"{cc} -shared -undefined dynamic_lookup"
    command = ["-q", "build", "-b", work / "build", "bdist_wheel", "-b", work / "bdist", "-d", work / "out"]
    system = "darwin" if "macos" in target else "linux"
    setup = (sys.executable, "-c", SETUP, cc, ld, *command, "--plat-name", platform)
    log = run(*setup, cwd=tree, FASTLAMBDA_BUILD_FOR=system, FASTLAMBDA_BUILD_SMALL="1")
    names = [path.name for path in (work / "out").glob("*.whl")]
    if names != [f"fastlambda-{VERSION}-cp311-abi3-{platform}.whl"]:
        raise SystemExit(f"{log}\nwheelhouse: {platform} gave {names}")
    wheel = out / names[0]
    shutil.move(work / "out" / names[0], wheel)
    add_sbom(wheel, ("Cython", "setuptools", "ziglang", "zopfli"), ("Cython",))
    settle_wheel(wheel)
    return wheel


def build_all(out: Path, targets: dict[str, str]) -> list[Path]:
    """The runtime's sdist and a wheel from it for each target, then both files of the developer's tools."""
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        for name in ("checkout", "sdist", "local", "local sdist", *targets):
            (work / name).mkdir()
        sdist = build_sdist(out, work / "checkout")
        local_sdist = build_local_sdist(out, work / "local")
        source = unpack(sdist, work / "sdist")
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            jobs = [
                pool.submit(build_wheel, source, platform, target, out, work / platform)
                for platform, target in targets.items()
            ]
            jobs.append(pool.submit(build_local_wheel, local_sdist, out, work / "local sdist"))
            return [sdist, local_sdist, *(job.result() for job in jobs)]


# ---- checking -----------------------------------------------------------------------------------------------------


def check_wheel(path: Path) -> None:
    """What a wheel must hold, must not hold, and may weigh.

    Raises:
        SystemExit: it does not keep to that.
    """
    is_local = path.name.startswith("fastlambda_local-")
    belongs, most = (BELONGS_LOCAL, MAX_LOCAL_WHEEL) if is_local else (BELONGS, MAX_WHEEL)
    with zipfile.ZipFile(path) as wheel:
        names = wheel.namelist()
        sizes = {info.filename: info.file_size for info in wheel.infolist()}
        (said,) = (wheel.read(name).decode() for name in names if name.endswith(".dist-info/METADATA"))
    stray = [name for name in names if not belongs.fullmatch(name)]
    if stray:
        raise SystemExit(f"wheelhouse: {path.name} holds what does not belong there: {stray}")
    for needed in NEEDED_LOCAL if is_local else NEEDED:
        if not any(name.endswith(needed) for name in names):
            raise SystemExit(f"wheelhouse: {path.name} lacks {needed}")
    other = f"fastlambda=={VERSION}" if is_local else f'fastlambda-local=={VERSION}; extra == "local"'
    if f"Requires-Dist: {other}" not in said.splitlines():
        raise SystemExit(f"wheelhouse: {path.name} does not require {other}")
    if "linux_" in path.name and sizes["fastlambda/_core.abi3.so"] > MAX_EXTENSION:
        raise SystemExit(f"wheelhouse: {path.name}: the extension has over {MAX_EXTENSION} bytes: {sizes}")
    if path.stat().st_size > most:
        raise SystemExit(f"wheelhouse: {path.name} has {path.stat().st_size} bytes, over {most}")


def check_linking(path: Path) -> None:
    """What the extension of a Linux wheel makes the dynamic linker load and look up.

    Raises:
        SystemExit: another library than the C library is needed, or a symbol that nobody is known to have.
    """
    machine = path.stem.partition("linux_")[2].split("_", 2)[2]
    is_musl = "-musllinux_" in path.name
    with zipfile.ZipFile(path) as wheel:
        elf = ELFFile(io.BytesIO(wheel.read("fastlambda/_core.abi3.so")))
    libraries = [tag.needed for tag in elf.get_section_by_name(".dynamic").iter_tags("DT_NEEDED")]
    expected = [f"libc.musl-{machine}.so.1" if is_musl else "libc.so.6"]
    if libraries != expected:
        raise SystemExit(f"wheelhouse: {path.name} needs {libraries}, not {expected}: each is one more file to open")
    if is_musl:
        return  # no versions there
    versions = elf.get_section_by_name(".gnu.version")
    plain = {
        symbol.name
        for n, symbol in enumerate(elf.get_section_by_name(".dynsym").iter_symbols())
        if symbol["st_shndx"] == "SHN_UNDEF" and versions.get_symbol(n)["ndx"] in ("VER_NDX_LOCAL", "VER_NDX_GLOBAL")
    }
    stray = sorted(name for name in plain - THREADS - {CANARY} if name and not name.startswith(("Py", "_Py")))
    if stray:
        raise SystemExit(f"wheelhouse: {path.name} takes {stray} from a library that it does not need")


def check_hardening(path: Path) -> None:
    """What makes a fault in the extension of a Linux wheel harder to use.

    Raises:
        SystemExit: the compiler or the linker did not do it.
    """
    with zipfile.ZipFile(path) as wheel:
        elf = ELFFile(io.BytesIO(wheel.read("fastlambda/_core.abi3.so")))
    segments = {segment["p_type"]: segment["p_flags"] for segment in elf.iter_segments()}
    flags = {tag.entry.d_tag: tag.entry.d_val for tag in elf.get_section_by_name(".dynamic").iter_tags()}
    symbols = {symbol.name for symbol in elf.get_section_by_name(".dynsym").iter_symbols()}
    lacking = {
        "read-only relocations (-z relro)": "PT_GNU_RELRO" in segments,
        "binding at the start (-z now)": bool(flags.get("DT_FLAGS", 0) & 8),  # DF_BIND_NOW
        "a stack that is no code (-z noexecstack)": not segments.get("PT_GNU_STACK", 1) & 1,
        "a stack protector": "__stack_chk_fail" in symbols,
        # musl has no such functions.
        "checked calls (_FORTIFY_SOURCE)": "-musllinux_" in path.name or any(n.endswith("_chk") for n in symbols),
        "segments that are written to or run, not both": not any(
            s["p_flags"] & 3 == 3 for s in elf.iter_segments("PT_LOAD")
        ),
        "position independence without text relocations": "DT_TEXTREL" not in flags,
    }
    if missing := [what for what, is_there in lacking.items() if not is_there]:
        raise SystemExit(f"wheelhouse: the extension in {path.name} lacks {', '.join(missing)}")


def audit(path: Path) -> str:
    """What auditwheel and abi3audit say about a Linux wheel, in one line.

    Raises:
        SystemExit: they object.
    """
    shown = " ".join(run(sys.executable, "-m", "auditwheel", "show", path).split())
    tag = path.stem.rsplit("-", 1)[1].split(".")[0]
    if f'following platform tag: "{tag}"' not in shown:
        raise SystemExit(f"wheelhouse: auditwheel does not find {path.name} to be {tag}: {shown}")
    run(sys.executable, "-m", "abi3audit", "--strict", path)  # fails when a symbol is not in the stable ABI of 3.11
    return f"auditwheel: {tag}, abi3audit: clean"


# ---- the rest -----------------------------------------------------------------------------------------------------


def download(out: Path, targets: dict[str, str]) -> None:
    """The wheels of the dependencies, for every platform and Python."""

    def fetch(job: tuple[str, str]) -> None:
        python, platform = job
        tags = [f"--platform={tag}" for tag in platform.split(".")]
        pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "-q", "--no-deps")
        wanted = [name for name in DEPENDENCIES if not (name.startswith("orjson") and python in WITHOUT_ORJSON)]
        run(*pip, "--only-binary=:all:", f"--python-version={python}", *tags, "-d", out, *wanted)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(fetch, [(python, platform) for python in PYTHONS for platform in targets]))


def write_sums(out: Path) -> None:
    """SHA256SUMS, in the form that `sha256sum -c` reads."""
    files = sorted(path for path in out.iterdir() if path.suffix in (".whl", ".gz"))
    lines = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in files]
    (out / "SHA256SUMS").write_text("".join(lines))


def main() -> None:
    parser = argparse.ArgumentParser(prog="dev.py wheelhouse", description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--out", type=Path, default=WHEELHOUSE, help="default: wheelhouse/")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--all", action="store_true", help="every platform; without it, this machine's with glibc")
    which.add_argument("--only", metavar="TEXT", help="the platforms whose tag contains TEXT, such as aarch64")
    parser.add_argument("--macos", action="store_true", help="macOS wheels too, into untested/: nobody has run them")
    parser.add_argument("--no-dependencies", action="store_true", help="without the wheels of h11 and orjson")
    parser.add_argument("--no-audit", action="store_true", help="without auditwheel and abi3audit")
    parser.add_argument("--verify", action="store_true", help="build everything a second time and compare the bytes")
    args = parser.parse_args()

    pyconfig = Path(sysconfig.get_path("include"), "pyconfig.h")
    if "SIZEOF_VOID_P 8" not in pyconfig.read_text():
        raise SystemExit(f"wheelhouse: {pyconfig} is not of a plain 64-bit Python (Debian splits it); use another one")
    wanted = args.only or ("" if args.all else f"manylinux_2_17_{platform.machine()}".replace("arm64", "aarch64"))
    targets = {tag: target for tag, target in TARGETS.items() if wanted in tag}
    if not targets:
        raise SystemExit(f"wheelhouse: no platform has {wanted!r} in its tag: {', '.join(TARGETS)}")
    args.out.mkdir(parents=True, exist_ok=True)
    for pattern in ("*.whl", "*.tar.gz", "SHA256SUMS", "untested/*.whl"):
        for old in args.out.glob(pattern):
            old.unlink()
    for path in build_all(args.out, targets):
        said = ""
        if path.suffix == ".whl":
            check_wheel(path)
            if "linux_" in path.name:
                check_linking(path)
                check_hardening(path)
            said = "" if args.no_audit or path.name.endswith("-any.whl") else audit(path)
        print(f"{path.stat().st_size:>8}  {path.name}  {said}", flush=True)
    if args.verify:
        with tempfile.TemporaryDirectory() as folder:
            for again in build_all(Path(folder), targets):
                if again.read_bytes() != (args.out / again.name).read_bytes():
                    raise SystemExit(f"wheelhouse: a second build of {again.name} has other bytes")
        print("a second build gave the same bytes")
    if args.macos:
        (args.out / "untested").mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory() as folder:
            build_all(Path(folder), MACOS)
            for path in sorted(Path(folder).glob("*-macosx_*.whl")):
                check_wheel(path)
                print(f"{path.stat().st_size:>8}  untested/{path.name}")
                shutil.move(path, args.out / "untested")
    if not args.no_dependencies:
        download(args.out, targets)
    write_sums(args.out)


if __name__ == "__main__":
    main()
