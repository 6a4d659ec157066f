"""How long a client works between an event's arrival and its answer's departure, without the kernel's part.

A library (onpath.c) is preloaded that times the stretch between the receiving call and the next sending one.  That
leaves out waiting, waking up and the peer, which are most of an invocation and most of its noise; caches and branch
predictors are as the kernel's work leaves them, which a loop within one process cannot show.  Shown: the least first
quartile of the runs, the median of their medians, and how many receiving calls an answer takes at full speed.
"""

import argparse
import collections
import json
import random
import shlex
import statistics
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import report
import rig

N = 6000
STRETCHES = ("event_to_answer", "ack_to_poll")
NAMES = ("C client", "C client, pipelined", "fastlambda", "fastlambda, without JSON", "fastlambda, pipelined")
EPILOG = """\
examples
  python bench/onpath.py                           20 B
  python bench/onpath.py --event 1.4KB --rounds 9
  python bench/onpath.py --contender awslambdaric
"""


def measured(setting, contender, library, event):
    """What the library says about one process of a contender."""
    out = setting.task.parent / "onpath.json"
    out.unlink(missing_ok=True)
    warmup = 2000
    extra = {"LD_PRELOAD": library, "ONPATH_OUT": out, "ONPATH_N": N, "ONPATH_SKIP": warmup}
    env = {**contender.env, **{name: str(value) for name, value in extra.items()}}
    watched = rig.Contender(contender.name, contender.command, contender.needs, env, decodes=contender.decodes)
    rig.run(setting, watched, "plain", event, warmup + N + 100)
    if not out.exists():
        raise rig.BenchError(f"{contender.name}: no figures: does it send through the C library?")
    return json.loads(out.read_text())


def main(argv=None):
    parser = argparse.ArgumentParser(
        prog="bench/onpath.py", description=__doc__, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--event", choices=[*rig.events.EVENTS], default="20B")
    parser.add_argument("--rounds", type=int, default=7, help="processes of each contender (default: 7)")
    parser.add_argument("--contender", action="append", help=f"by name; may be repeated (default: {', '.join(NAMES)})")
    args = parser.parse_args(argv)
    machine = report.machine(shlex.join(["python", "bench/onpath.py", *(sys.argv[1:] if argv is None else argv)]))
    setting, _ = rig.prepare()
    seen = collections.defaultdict(list)
    try:
        library = rig.compile_c("onpath", setting.task.parent, "-shared", "-fPIC", "-ldl")
        wanted = [c for c in rig.CONTENDERS if c.name in (args.contender or NAMES)]
        for n in range(args.rounds):
            for contender in random.sample(wanted, len(wanted)):
                if sys.stderr.isatty():
                    text = f"round {n + 1} of {args.rounds}: {contender.name}"
                    print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)
                seen[contender.name].append(measured(setting, contender, library, args.event))
    finally:
        rig.clear(setting)
    if sys.stderr.isatty():
        print("\r\x1b[K", end="", file=sys.stderr)
    print(f"{args.event} event, {args.rounds} processes of {N} invocations; us: least quartile, median\n")
    print(f"  {'':28}{'event to answer':>20}{'ack to poll':>20}{'reads/answer':>14}")
    for name in (c.name for c in wanted):
        runs = seen[name]
        row = f"  {name:28}"
        for stretch in STRETCHES:
            figures = [run[stretch] for run in runs if run[stretch]["n"]]
            least = min((f["q1_ns"] for f in figures), default=0) / 1000
            middle = statistics.median([f["median_ns"] for f in figures] or [0]) / 1000
            row += f"{least:>12.2f}{middle:>8.2f}" if figures else f"{'-':>20}"
        print(row + f"{statistics.median(run['reads_per_answer'] for run in runs):>14.2f}")
    print(f"\n{machine['date']}, commit {machine['commit']}; {machine['command']}")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except rig.BenchError as exc:
        sys.exit(f"bench: {exc}")
    except KeyboardInterrupt:
        sys.exit("bench: interrupted")
