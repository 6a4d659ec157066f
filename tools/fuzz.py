"""Fuzzes the native rooms with libFuzzer under the address and undefined-behaviour sanitizers (needs clang).

  python3 dev.py fuzz --minutes 30                 every target, one after the other
  python3 dev.py fuzz --seconds 5 --target head    one of them

Inputs come from fuzz/corpus/TARGET, new ones go to fuzz/work/TARGET, what fails to fuzz/work/TARGET-crash-*.
`--keep` adds to the corpus the small inputs that reach something new.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NATIVE = ROOT / "src/fastlambda/_native"
WORK = ROOT / "fuzz/work"
TARGETS = ("head", "chunks", "post")
ROOMS = ("http1", "rapi", "buffer")
FLAGS = ("-std=gnu11", "-g", "-O1", "-fno-sanitize-recover=all", "-Wall", "-Wextra", "-Werror")
KEPT_BYTES = 2048  # a larger input is not kept: the corpus is read by people, too


def build(target: str, compiler: str, *, engine: bool) -> Path:
    """Compiles a target; with `engine` libFuzzer drives it, else replay.c does.

    Raises:
        subprocess.CalledProcessError: it does not compile.
    """
    WORK.mkdir(parents=True, exist_ok=True)
    program = WORK / f"{target}-{'fuzzer' if engine else 'replay'}"
    sources = [ROOT / f"fuzz/{target}.c", *(NATIVE / f"{room}.c" for room in ROOMS)]
    if not engine:
        sources.append(ROOT / "fuzz/replay.c")
    sanitizers = "-fsanitize=" + ("fuzzer," if engine else "") + "address,undefined"
    command = [
        compiler,
        *FLAGS,
        sanitizers,
        f"-I{NATIVE}",
        f"-I{ROOT / 'fuzz'}",
        *map(str, sources),
        "-o",
        str(program),
    ]
    subprocess.run(command, check=True)
    return program


def fuzz(target: str, compiler: str, seconds: int, keep: bool) -> bool:
    """One target for a time; says what was done. True when nothing was found."""
    program = build(target, compiler, engine=True)
    found = WORK / target
    found.mkdir(exist_ok=True)
    seeds = ROOT / "fuzz/corpus" / target
    log = WORK / f"{target}.log"
    options = [
        f"-max_total_time={seconds}",
        "-print_final_stats=1",
        "-timeout=10",
        f"-artifact_prefix={WORK}/{target}-",
    ]
    began = time.monotonic()
    with log.open("wb") as out:
        done = subprocess.run(
            [str(program), *options, str(found), str(seeds)], stdin=subprocess.DEVNULL, stdout=out, stderr=out
        )
    text = log.read_text(errors="replace")
    runs = re.search(r"number_of_executed_units: (\d+)", text)
    cov = re.findall(r"cov: (\d+) ft: (\d+) corp: (\d+)", text) or [("?", "?", "?")]
    print(
        f"{target}: {int(runs[1]) if runs else 0:,} inputs in {time.monotonic() - began:.0f} s, "
        f"{cov[-1][0]} edges, {cov[-1][1]} features, {cov[-1][2]} inputs kept: "
        + ("nothing found" if done.returncode == 0 else f"FAILED, see {log}"),
        flush=True,
    )
    if done.returncode:
        print(text[-4000:], file=sys.stderr)
    elif keep:
        merge(program, found, seeds)
    return done.returncode == 0


def merge(program: Path, found: Path, seeds: Path) -> None:
    small = WORK / f"{found.name}-small"
    shutil.rmtree(small, ignore_errors=True)
    small.mkdir()
    for path in found.iterdir():
        if path.stat().st_size <= KEPT_BYTES:
            shutil.copy(path, small)
    subprocess.run(
        [str(program), "-merge=1", "-verbosity=0", str(seeds), str(small)],
        check=True,
        stdin=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=0.0, help="per target")
    parser.add_argument("--seconds", type=int, default=10, help="per target, when --minutes is not given")
    parser.add_argument("--target", choices=TARGETS, action="append", help="all when not given")
    parser.add_argument("--keep", action="store_true", help="add what reaches something new to the corpus")
    options = parser.parse_args()
    compiler = shutil.which("clang")
    if compiler is None:
        sys.exit("fuzz: clang is needed (Debian: apt-get install clang libclang-rt-14-dev)")
    seconds = round(options.minutes * 60) or options.seconds
    results = [fuzz(t, compiler, seconds, options.keep) for t in options.target or TARGETS]
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
