"""The wheels that this machine cannot run as it is: aarch64 under emulation, and musl.

  python3 dev.py elsewhere arm64     the aarch64 wheel on Debian's arm64 Python 3.11, under qemu's user-mode emulation
  python3 dev.py elsewhere musl      the musl wheel on a CPython 3.11 compiled against musl, run by Debian's musl
  python3 dev.py elsewhere           both

Everything comes from Debian's archive by apt, without root and without a change to the system, and stays in
.cache/elsewhere (300 MB).  The musl Python is compiled from Debian's source package: about five minutes, once.
Needs wheelhouse/ (python3 dev.py wheelhouse --all).  Not part of the ordinary tests: emulation is slow.
"""
# extras: dev

from __future__ import annotations

import argparse
import getpass
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests/wheel")]

import e2e  # noqa: E402
from support import clean_env  # noqa: E402

CACHE = ROOT / ".cache/elsewhere"
ARM64 = ["python3.11-minimal", "libpython3.11-minimal", "libpython3.11-stdlib", "libc6", "zlib1g", "libexpat1"]
ARM64 += ["libssl3", "libffi8", "libgcc-s1", "libbz2-1.0", "liblzma5", "libuuid1"]


def apt(*command: str, cwd: Path) -> None:
    """apt-get with lists and state of its own, for both architectures, source packages included."""
    place = CACHE / "apt"
    for name in ("lists/partial", "archives/partial", "state", "cache", "sources"):
        (place / name).mkdir(parents=True, exist_ok=True)
    (place / "state/status").touch()
    # The system's own sources, with the source packages added.
    for file in [*Path("/etc/apt/sources.list.d").glob("*.sources"), Path("/etc/apt/sources.list")]:
        if file.exists():
            text = file.read_text().replace("Types: deb\n", "Types: deb deb-src\n")
            (place / "sources" / file.name).write_text(text)
    options = {
        "Dir::State": f"{place}/state",
        "Dir::State::lists": f"{place}/lists",
        "Dir::State::status": f"{place}/state/status",
        "Dir::Cache": f"{place}/cache",
        "Dir::Etc::sourcelist": "/dev/null",
        "Dir::Etc::sourceparts": f"{place}/sources",
        "Acquire::Languages": "none",
        "APT::Sandbox::User": getpass.getuser(),
    }
    words = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
    words += ["-o", "APT::Architectures::=amd64", "-o", "APT::Architectures::=arm64"]
    subprocess.run(["apt-get", "-qq", *words, *command], cwd=cwd, check=True)


def packages(folder: Path, *names: str) -> Path:
    """Debian packages, unpacked into a folder of the cache."""
    if not folder.exists():
        debs = CACHE / "debs"
        debs.mkdir(parents=True, exist_ok=True)
        for old in debs.glob("*.deb"):
            old.unlink()
        apt("update", cwd=debs)
        apt("download", *names, cwd=debs)
        partial = folder.with_name(folder.name + ".partial")
        for deb in debs.glob("*.deb"):
            subprocess.run(["dpkg-deb", "-x", deb, partial], check=True)
        partial.rename(folder)
    return folder


def install(into: Path, platform_tag: str) -> None:
    """fastlambda and its dependencies from the wheelhouse alone, for another platform."""
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "-q", "--no-index"]
    pip += ["--only-binary=:all:", "--python-version=3.11", f"--platform={platform_tag}", f"--target={into}"]
    if "many" in platform_tag:
        pip.append(f"--platform={platform_tag.replace('manylinux_2_17', 'manylinux2014')}")
    subprocess.run([*pip, "--find-links", str(ROOT / "wheelhouse"), "fastlambda"], check=True)


def check(python: list[str], platform_tag: str, **env: str) -> None:
    """The end-to-end suite of tests/wheel."""
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        install(work / "site", platform_tag)
        (work / "function").mkdir()
        said = e2e.check_everything(e2e.Installed(python, work / "function", PYTHONPATH=str(work / "site"), **env))
    print(f"{platform_tag}: the end-to-end suite passes: {said}")


def arm64() -> None:
    """Under qemu.  What the kernel does for the emulated process is this machine's."""
    tools = packages(CACHE / "qemu", "qemu-user-static:amd64")
    system = packages(CACHE / "arm64", *(f"{name}:arm64" for name in ARM64))
    python = [f"{tools}/usr/bin/qemu-aarch64-static", "-L", str(system), f"{system}/usr/bin/python3.11"]
    check(python, "manylinux_2_17_aarch64", PYTHONHOME=f"{system}/usr")


def musl() -> None:
    """Debian's musl is the dynamic loader and libc; Python is compiled against it."""
    system = packages(CACHE / "musl", "musl:amd64")
    loader = system / "lib/x86_64-linux-musl/libc.so"
    build = CACHE / "python-musl"
    if not (build / "ready").exists():
        shutil.rmtree(build, ignore_errors=True)
        build.mkdir(parents=True)
        apt("update", cwd=build)
        # The release's version: security updates come without their sources in some mirrors.
        release = platform.freedesktop_os_release()["VERSION_CODENAME"]
        apt("source", "--download-only", "--tar-only", f"python3.11/{release}", cwd=build)
        (source,) = build.glob("*.orig.tar.*")
        subprocess.run(["tar", "-xf", source, "-C", build, "--strip-components=1"], check=True)
        cc = build / "zig-cc"
        # CPython tells its build time in a macro, which zig forbids.
        cc.write_text(
            f"""#!/bin/sh
link=-Wl,-dynamic-linker,{loader}
for word in "$@"; do case $word in -c|-E|-S) link= ;; esac; done
exec {sys.executable} -m ziglang cc -target x86_64-linux-musl -dynamic $link -Wno-date-time "$@"
"""
        )
        cc.chmod(0o755)
        env = clean_env(CC=str(cc), CFLAGS="-O1 -g0")
        # zig's musl is newer than Debian's: what 1.2.3 lacks must not be used.
        lacking = [f"ac_cv_func_{name}=no" for name in ("preadv2", "pwritev2", "statx")]
        configure = ["./configure", "--disable-test-modules", "--without-ensurepip", *lacking]
        with (build / "build.log").open("wb") as log:
            for command in (configure, ["make", f"-j{os.cpu_count()}"]):
                subprocess.run(command, cwd=build, env=env, check=True, stdout=log, stderr=subprocess.STDOUT)
        (build / "ready").touch()
    said = subprocess.check_output(
        [build / "python", "-c", "import os; print(open('/proc/self/maps').read())"], text=True
    )
    assert str(loader.resolve()) in said and "ld-linux" not in said, "this Python does not run on musl"
    check([str(build / "python")], "musllinux_1_2_x86_64")


def main() -> None:
    parser = argparse.ArgumentParser(prog="dev.py elsewhere", description=__doc__.splitlines()[0])
    parser.add_argument("which", nargs="?", choices=["arm64", "musl"], help="default: both")
    args = parser.parse_args()
    if sys.platform != "linux" or platform.machine() != "x86_64" or not shutil.which("apt-get"):
        raise SystemExit("elsewhere: needs an x86_64 machine with Debian's apt-get")
    CACHE.mkdir(parents=True, exist_ok=True)
    for name, run in {"arm64": arm64, "musl": musl}.items():
        if args.which in (None, name):
            run()


if __name__ == "__main__":
    main()
