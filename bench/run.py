"""The benchmark: fastlambda, AWS's client and other peers side by side, in one command.

Each contender runs in a fresh process against the same endpoint; the runs of a round are shuffled, and ratios are taken
within a round.  Before any clock starts, each contender's answers are compared with the event.
"""

import argparse
import datetime
import json
import random
import shlex
import sys
import time
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import report
import rig
from contenders import PASS

EPILOG = """\
what is measured
  cold    from spawn to the first poll and to the first answer; handlers: plain, with logging and json, with boto3
  warm    wall and CPU time of one invocation, 20 B and 1.4 KB events; also with the guard off, and pipelined
  volume  the same with 100 KB and 1.2 MB events, content-length and chunked
  memory  resident memory idle, and after many invocations

how to read it
  "x C client" is the distance to the floor: a C program that only polls and echoes.
  "x python -c pass" is a cold start in multiples of the bare interpreter's start and exit.
  "x awslambdaric" compares with AWS's own client: 0.5 is half its time.
  "right" says that every answer was compared with the event before the clock started.

examples
  python bench/run.py --quick                       about a minute; enough to see the order
  python bench/run.py                               all of it, 15 rounds and more; leave the machine alone meanwhile
  python bench/run.py --only cold --rounds 31
  python bench/run.py --only warm --peer 'mine={python} /path/to/runtime.py {handler}'
  python bench/run.py --show bench/results/NAME.json    print a result file again
In --peer, {python} is the interpreter and {handler} the handler string; the environment is that of a Lambda function.
"""


@dataclass(frozen=True)
class Plan:
    """One group of runs: a handler, an event, its framings.

    Args:
        rounds: repetitions of every contender.
        count: invocations of a process, warm-up included.
        warmup: of these, how many are not measured.
    """

    suite: str
    handler: str
    event: str
    framings: tuple
    rounds: int
    count: int
    warmup: int


def plans(quick, rounds):
    """The groups of a full or a quick run."""
    both, natural = ("length", "chunked"), ("length",)
    if quick:
        return [
            Plan("cold", "plain", "20B", natural, rounds or 7, 1, 0),
            Plan("cold", "logging+json", "20B", natural, rounds or 5, 1, 0),
            Plan("cold", "boto3", "20B", natural, rounds or 3, 1, 0),
            Plan("warm", "plain", "20B", natural, rounds or 5, 500, 200),
            Plan("warm", "plain", "1.4KB", natural, rounds or 5, 1800, 1500),
            Plan("volume", "plain", "100KB", both, rounds or 3, 150, 100),
            Plan("volume", "plain", "1.2MB", ("chunked",), rounds or 2, 12, 6),
            Plan("memory", "plain", "20B", natural, 1, 5_000, 100),
        ]
    return [
        Plan("cold", "plain", "20B", natural, rounds or 31, 1, 0),
        Plan("cold", "logging+json", "20B", natural, rounds or 21, 1, 0),
        Plan("cold", "boto3", "20B", natural, rounds or 15, 1, 0),
        Plan("warm", "plain", "20B", both, rounds or 21, 1200, 200),
        Plan("warm", "plain", "1.4KB", both, rounds or 21, 2500, 1500),
        Plan("volume", "plain", "100KB", both, rounds or 15, 250, 100),
        Plan("volume", "plain", "1.2MB", both, rounds or 15, 16, 8),
        Plan("memory", "plain", "20B", natural, min(rounds or 3, 3), 100_000, 1_000),
    ]


class Progress:
    """One line on standard error that says what runs; a new line per round where nobody watches."""

    def __init__(self):
        self.start = time.monotonic()
        self.live = sys.stderr.isatty()

    def say(self, text, done=False):
        line = f"[{time.monotonic() - self.start:5.0f} s] {text}"
        if self.live:
            sys.stderr.write("\r\x1b[K" + line + ("\n" if done else ""))
        elif done:
            sys.stderr.write(line + "\n")
        sys.stderr.flush()


def sample_of(setting, contender, plan, framing, expect, bare_rss):
    """Runs one process and returns its figures by metric."""
    if plan.suite == "cold":
        got = rig.run(setting, contender, plan.handler, plan.event, 1, framing=framing, expect=expect)
        return {
            "connect_ms": (got["connect_ns"] - got["start_ns"]) / 1e6,
            "first_next_ms": (got["first_next_ns"] - got["start_ns"]) / 1e6,
            "first_answer_ms": (got["first_answer_ns"] - got["start_ns"]) / 1e6,
        }
    got = rig.run(
        setting,
        contender,
        plan.handler,
        plan.event,
        plan.count,
        warmup=plan.warmup,
        framing=framing,
        sample=True,
        expect=expect,
    )
    n = plan.count - plan.warmup
    if plan.suite == "memory":
        mib = 1 << 20
        return {
            "idle_mib": got["idle"]["rss_bytes"] / mib,
            "over_bare_mib": (got["idle"]["rss_bytes"] - bare_rss) / mib,
            "idle_private_mib": got["idle"]["private_bytes"] / mib,
            "load_mib": got["end"]["rss_bytes"] / mib,
            "growth_mib": (got["end"]["rss_bytes"] - got["warm"]["rss_bytes"]) / mib,
        }
    answers = got["answer_ns"]
    return {
        # From answer to answer. The median of a process: a slice that another process takes is not the contender's.
        "wall_us": report.figures.percentile(got["cycle_ns"], 0.5) / 1e3,
        "wall_mean_us": (got["end"]["wall_ns"] - got["warm"]["wall_ns"]) / n / 1e3,
        "cpu_us": (got["end"]["cpu_ns"] - got["warm"]["cpu_ns"]) / n / 1e3,
        "answer_p50_us": report.figures.percentile(answers, 0.5) / 1e3,
        "answer_p99_us": report.figures.percentile(answers, 0.99) / 1e3,
    }


def measure(setting, plan, contenders, left_out, rng, progress):
    """Verifies and runs one group; returns its cells."""
    cells, expect = {}, {}
    title = f"{plan.suite}, {plan.handler}, {plan.event}"
    for framing in plan.framings:
        if plan.suite == "cold":
            cells[framing, PASS] = {"contender": PASS, "right": "-"}
        for contender in contenders:
            if contender.name in left_out:
                continue
            progress.say(f"{title}: comparing the answers of {contender.name}")
            try:
                expect[framing, contender.name] = rig.verify(setting, contender, plan.handler, plan.event, framing)
                cells[framing, contender.name] = {"contender": contender.name, "right": "yes"}
            except rig.BenchError as exc:
                left_out[contender.name] = str(exc)
                progress.say(f"{contender.name} is left out: {exc}", done=True)
    for (framing, _), cell in cells.items():
        facts = {"suite": plan.suite, "handler": plan.handler, "event": plan.event, "framing": framing}
        cell |= facts | {"rounds": plan.rounds, "count": plan.count, "warmup": plan.warmup, "samples": {}}
    by_name = {c.name: c for c in contenders}
    for n in range(plan.rounds):
        order = list(cells)
        rng.shuffle(order)
        bare_rss = rig.bare_memory(setting)[0] if plan.suite == "memory" else None
        for framing, name in order:
            progress.say(f"{title}: round {n + 1} of {plan.rounds}: {name}, {framing}")
            if name == PASS:
                took = rig.python_pass(setting) / 1e6
                figures = {"first_next_ms": took, "first_answer_ms": took}
            else:
                figures = sample_of(setting, by_name[name], plan, framing, expect[framing, name], bare_rss)
            for metric, value in figures.items():
                cells[framing, name]["samples"].setdefault(metric, []).append(value)
    progress.say(f"{title}: {plan.rounds} rounds", done=True)
    return list(cells.values())


def build_parser():
    parser = argparse.ArgumentParser(
        prog="bench/run.py", description=__doc__, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    suites = ["cold", "warm", "volume", "memory"]
    add("--quick", action="store_true", help="few rounds: about a minute")
    add("--only", action="append", choices=suites, help="only this; may be repeated")
    add("--rounds", type=int, help="repetitions of each contender (memory: at most 3)")
    add("--peer", action="append", default=[], metavar="NAME=COMMAND", help="one more contender; may be repeated")
    add("--contender", action="append", metavar="TEXT", help="only contenders whose name holds TEXT; may be repeated")
    results = str(rig.HERE / "results")
    add("--out", default=results, metavar="DIR", help="where results go (default: bench/results)")
    add("--name", help="name of the result files (default: date and Python version)")
    add("--no-files", action="store_true", help="only print")
    add("--no-pin", action="store_true", help="do not bind the endpoint and the contender to a core each")
    add("--python", metavar="PATH", help="interpreter (default: an empty virtual environment of this one)")
    how = "how large answers are written: as net/http, or at once"
    add("--writes", choices=["go", "one"], default="go", help=how)
    add("--seed", type=int, help="order of the runs (default: from the clock; printed)")
    show = "print the report of a result file, draw its plots beside it, run nothing"
    add("--show", metavar="FILE", help=show)
    return parser


def contenders_of(suite, peers, wanted):
    """Who takes part in a suite: all, or those whose name holds one of the texts."""
    return [c for c in rig.roster(suite, peers) if not wanted or any(text in c.name for text in wanted)]


def run_plans(args, setting, versions, peers, rng, progress):
    """Runs what was asked for; the cells, and why each contender that is left out is."""
    cells, left_out = [], {}
    for contender in [*rig.CONTENDERS, *peers]:
        why = rig.available(contender, versions)
        if why:
            left_out[contender.name] = why
    for plan in plans(args.quick, args.rounds):
        if not args.only or plan.suite in args.only:
            wanted = contenders_of(plan.suite, peers, args.contender)
            cells += measure(setting, plan, wanted, left_out, rng, progress)
    report.add_ratios(cells)
    return cells, left_out


def result_of(args, setting, versions, cells, left_out, seed, machine):
    """The document that is written: every sample, and on what it was taken."""
    pinned = f"endpoint on core {setting.server_cpu}, contender on core {setting.client_cpu}"
    empty = "an empty virtual environment, so no .pth file takes part"
    machine |= {
        "pinned": "not pinned" if setting.server_cpu is None else pinned,
        "interpreter": "given by --python" if args.python else empty,
        "writes": args.writes,
    }
    return {
        "machine": machine,
        "packages": versions,
        "seed": seed,
        "left_out": left_out,
        "targets": report.targets(cells),
        "cells": cells,
    }


def write(args, result):
    """The result file and its plots; their paths."""
    out = Path(args.out)
    out.mkdir(parents=True, exist_ok=True)
    version = f"py{sys.version_info.major}.{sys.version_info.minor}"
    name = args.name or f"{datetime.date.today():%Y-%m-%d}-{version}{'-quick' if args.quick else ''}"
    path = out / f"{name}.json"
    path.write_text(json.dumps(result, separators=(",", ":")) + "\n")
    return [path, *report.plot(result, out / name)]


def main(argv=None):
    parser = build_parser()
    args = parser.parse_args(argv)
    if args.show:
        result = json.loads(Path(args.show).read_text())
        report.plot(result, Path(args.show).with_suffix(""))
        print(report.text(result))
        return 0
    if args.rounds is not None and args.rounds < 1:
        parser.error("--rounds must be at least 1")
    peers = [rig.parse_peer(text) for text in args.peer]
    suites = args.only or ["cold", "warm", "volume", "memory"]
    for text in args.contender or []:
        names = {c.name for suite in suites for c in contenders_of(suite, peers, None)}
        if not any(text in name for name in names):
            parser.error(f"--contender {text}: no contender has that in its name; there are {', '.join(sorted(names))}")

    progress = Progress()
    progress.say("compiling the endpoint and the client, laying out the packages")
    seed = args.seed if args.seed is not None else time.time_ns() % 10**9
    machine = report.machine(shlex.join(["python", "bench/run.py", *(sys.argv[1:] if argv is None else argv)]))
    setting, versions = rig.prepare(args.python, not args.no_pin, args.writes)
    try:
        cells, left_out = run_plans(args, setting, versions, peers, random.Random(seed), progress)
    finally:
        rig.clear(setting)
    result = result_of(args, setting, versions, cells, left_out, seed, machine)
    print(report.text(result))
    if not args.no_files:
        print("\nwritten:", *write(args, result), sep="\n  ")
    wrong = [name for name, why in left_out.items() if not why.startswith("not installed")]
    return 1 if wrong else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except rig.BenchError as exc:
        sys.exit(f"bench: {exc}")
    except KeyboardInterrupt:
        sys.exit("bench: interrupted")
