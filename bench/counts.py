"""What a start and an invocation cost in things that can be counted: the same on a busy machine as on an idle one.

System calls per warm invocation (strace), instructions per warm invocation (valgrind's callgrind), files opened, system
calls and modules loaded up to the first answer.  Per invocation means: the difference between a run of N and one of 2N
invocations, divided by N, so that the start drops out; system calls are counted from answer to answer.
"""

import argparse
import collections
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import rig

EPILOG = """\
examples
  python bench/counts.py                                  all counts of fastlambda
  python bench/counts.py --contender awslambdaric         of a peer
  python bench/counts.py --only instructions --functions  and which functions they went to
  python bench/counts.py --event 1.4KB --pipeline
  python bench/counts.py --check                          against bench/budgets.json; status 1 when one is exceeded
"""
BUDGETS = rig.HERE / "budgets.json"
ANSWER_PATH = "/2018-06-01/runtime/invocation/"
KINDS = ("syscalls", "start", "instructions")


class ToolMissing(rig.BenchError):
    """strace or valgrind is not installed."""


def tool(name):
    """The path of a program.

    Raises:
        ToolMissing: it is not installed.
    """
    path = shutil.which(name)
    if not path:
        raise ToolMissing(f"{name} is not installed: apt-get install {name}")
    return path


def traced(setting, contender, event, framing, n):
    """The system calls of a run of n invocations under strace: a list of (name, whether it sends an answer, line)."""
    log = setting.task.parent / "strace"
    wrap = [tool("strace"), "-f", "-qq", "-s", "96", "-o", str(log)]
    rig.run(setting, contender, "plain", event, n, wrap=wrap, grace=20, framing=framing)
    calls = []
    for line in log.read_text(errors="replace").splitlines():
        found = re.match(r"\d+\s+(\w+)\(", line)  # not the second half of a call, an exit or a signal
        if found:
            calls.append((found[1], f"POST {ANSWER_PATH}" in line, line))
    return calls


def syscalls_per_invocation(setting, contender, event="20B", framing="auto", n=400):
    """System calls of one warm invocation, from answer to answer: {name: calls}, all threads, `total` included.

    Counted within one run, in its second half: how many reads a pipelining client needs depends on how the two answers
    happen to arrive, so two runs cannot be subtracted.
    """
    calls = traced(setting, contender, event, framing, n)
    answers = [i for i, (_, is_answer, _) in enumerate(calls) if is_answer]
    if len(answers) != n:
        raise rig.BenchError(f"{contender.name}: {len(answers)} answers in the system call log, not {n}")
    first = answers[n // 2]
    counted = collections.Counter(name for name, _, _ in calls[first : answers[-1]])
    out = {name: calls / (n - 1 - n // 2) for name, calls in sorted(counted.items())}
    return {**out, "total": sum(out.values())}


def difference(one, two, n):
    """(two - one) / n by name, without the names that cost nothing, with their `total`."""
    out = {k: (two.get(k, 0) - one.get(k, 0)) / n for k in sorted({*one, *two})}
    out = {k: v for k, v in out.items() if v}
    return {**out, "total": sum(out.values())}


def up_to_first_answer(setting, contender):
    """What the main thread does from exec to the first answer.

    How many calls of the guard's thread come before it is left to the scheduler; nobody waits for them: not counted.

    Returns:
        {"syscalls", "opened" (files opened), "failed" (path look-ups in vain), "files" (their paths)}.
    """
    calls = traced(setting, contender, "20B", "auto", 1)
    end = next((i for i, (_, is_answer, _) in enumerate(calls) if is_answer), None)
    if end is None:
        raise rig.BenchError(f"{contender.name}: no answer in the system call log")
    main = calls[0][2].split()[0]
    return summarize([call for call in calls[: end + 1] if call[2].split()[0] == main])


def summarize(calls):
    """Counts of a list of system calls: {"syscalls", "opened", "failed", "files"}."""
    failed, files = 0, []
    for name, _, line in calls:
        path = re.search(r'"([^"]*)"', line)
        if name in ("open", "openat") and path and "= -1" not in line:
            files.append(path[1])
        elif "= -1 ENOENT" in line:
            failed += 1
    return {"syscalls": len(calls), "opened": len(files), "failed": failed, "files": files}


def modules_at_first_answer(setting, contender):
    """The modules that a plain handler's process has loaded after its first answer, beyond a bare interpreter's."""
    record = setting.task.parent / "record"
    rig.run(setting, contender, "modules", "20B", 2, record=record)
    raw, at, answers = record.read_bytes(), 0, []
    while at < len(raw):
        size = int.from_bytes(raw[at : at + 8], "little")
        answers.append(json.loads(raw[at + 8 : at + 8 + size]))
        at += 8 + size
    argv = [setting.python, "-c", "import sys; print(*sys.modules)"]
    bare = subprocess.run(
        argv, env=setting.environment("", 9), capture_output=True, text=True, check=True, cwd=setting.task
    )
    return sorted(set(answers[1]) - {*bare.stdout.split(), "modules"})


def growth_in_memory(setting, contender, n):
    """KiB by which the resident memory of a process grows over n invocations, after 1,000 of warm-up."""
    got = rig.run(setting, contender, "plain", "20B", n + 1000, warmup=1000, sample=True)
    return (got["end"]["rss_bytes"] - got["warm"]["rss_bytes"]) / 1024


def instructions_per_invocation(setting, contender, event="20B", framing="auto", n=200, functions=False):
    """Instructions of one warm invocation, in user space, by callgrind.

    Returns:
        {"instructions": number}, and with `functions` also {"functions": {name: instructions of its own}}.
    """
    totals, parts = [], []
    out = setting.task.parent / "callgrind"
    for count in (n, 2 * n):
        wrap = [tool("valgrind"), "--tool=callgrind", "--quiet", f"--callgrind-out-file={out}"]
        fixed = rig.Contender(
            contender.name, contender.command, contender.needs, {**contender.env, "PYTHONHASHSEED": "0"}
        )
        rig.run(setting, fixed, "plain", event, count, wrap=wrap, grace=60, framing=framing, stall_s=120)
        found = re.search(r"^(?:totals|summary): (\d+)", out.read_text(), re.M)
        if not found:
            raise rig.BenchError("callgrind wrote no totals")
        totals.append(int(found[1]))
        if functions:
            parts.append(self_costs(out))
    result = {"instructions": (totals[1] - totals[0]) / n}
    if functions:
        costs = difference(parts[0], parts[1], n)
        costs.pop("total")
        result["functions"] = dict(sorted(costs.items(), key=lambda item: -item[1]))
    return result


def self_costs(path):
    """{function: instructions of its own} from a callgrind file."""
    argv = [tool("callgrind_annotate"), "--threshold=100", "--show-percs=no", "--auto=no", str(path)]
    costs = collections.Counter()
    for line in subprocess.run(argv, capture_output=True, text=True, check=True).stdout.splitlines():
        found = re.match(r"\s*([\d,]+)\s+\S*?([^\s/:]+:\S+)(?: \[(?:.*/)?([^/\]]+)\])?$", line)
        if found:
            source, _, function = found[2].partition(":")
            costs[f"{function} [{found[3] or source}]"] += int(found[1].replace(",", ""))
    return costs


def measure(setting, contenders, budget):
    """The counted value of one entry of budgets.json."""
    by_name = {c.name: c for c in contenders}
    kind, contender = budget["count"], by_name[budget["contender"]]
    where = {"event": budget.get("event", "20B"), "framing": budget.get("framing", "auto")}
    if kind == "syscalls per invocation":
        return syscalls_per_invocation(setting, contender, **where)["total"]
    if kind == "instructions per invocation":
        return instructions_per_invocation(setting, contender, **where)["instructions"]
    if kind == "modules at first answer":
        return len(modules_at_first_answer(setting, contender))
    if kind == "KiB that 20,000 invocations leave in memory":
        return growth_in_memory(setting, contender, 20_000)
    start = up_to_first_answer(setting, contender)
    bare = bare_interpreter(setting)
    return {
        "files opened at first answer, over the bare interpreter": start["opened"] - bare["opened"],
        "syscalls at first answer, over the bare interpreter": start["syscalls"] - bare["syscalls"],
    }[kind]


def bare_interpreter(setting):
    """The same counts of `python -c pass`, to its end."""
    log = setting.task.parent / "strace"
    argv = [tool("strace"), "-f", "-qq", "-o", str(log), setting.python, "-c", "pass"]
    subprocess.run(argv, env=setting.environment("", 9), check=True, cwd=setting.task)
    lines = [(re.match(r"\d+\s+(\w+)\(", x), x) for x in log.read_text(errors="replace").splitlines()]
    return summarize([(found[1], False, line) for found, line in lines if found])


def main(argv=None):
    parser = argparse.ArgumentParser(
        prog="bench/counts.py", description=__doc__, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", choices=KINDS, action="append", help="only this; may be repeated")
    parser.add_argument("--contender", default="fastlambda", help="who (default: fastlambda)")
    parser.add_argument("--event", default="20B", help="which event (default: 20B)")
    parser.add_argument("--framing", choices=["auto", "length", "chunked"], default="auto")
    parser.add_argument("--pipeline", action="store_true", help="with FASTLAMBDA_PIPELINE=1")
    parser.add_argument("--functions", action="store_true", help="where the instructions went")
    parser.add_argument("-n", type=int, default=200, help="invocations of a run (default: 200)")
    parser.add_argument("--peer", action="append", default=[], metavar="NAME=COMMAND", help="one more contender")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--check", action="store_true", help="measure what bench/budgets.json lists and compare")
    parser.add_argument("--budget", metavar="NAME", help="check only this budget; status 3: its tool is not installed")
    args = parser.parse_args(argv)

    setting, _ = rig.prepare(pin=False)
    contenders = [*rig.CONTENDERS, *map(rig.parse_peer, args.peer)]
    try:
        if args.check or args.budget:
            exceeded = 0
            for budget in json.loads(BUDGETS.read_text())["budgets"]:
                if args.budget not in (None, name_of(budget)):
                    continue
                got = measure(setting, contenders, budget)
                exceeded += got > budget["at most"]
                mark = "EXCEEDED" if got > budget["at most"] else "ok"
                print(f"{mark:9} {got:12.2f} of {budget['at most']:10}  {name_of(budget)}", flush=True)
            return 1 if exceeded else 0
        chosen = next((c for c in contenders if c.name == args.contender), None)
        if chosen is None:
            parser.error(f"no contender {args.contender!r}; there are: {', '.join(c.name for c in contenders)}")
        if args.pipeline:
            chosen = rig.Contender(
                chosen.name, chosen.command, chosen.needs, {**chosen.env, "FASTLAMBDA_PIPELINE": "1"}
            )
        where = {"event": args.event, "framing": args.framing, "n": args.n}
        kinds = args.only or KINDS
        out = {"contender": chosen.name, **where}
        if "syscalls" in kinds:
            out["syscalls per invocation"] = syscalls_per_invocation(setting, chosen, **where)
        if "start" in kinds:
            out["up to the first answer"] = up_to_first_answer(setting, chosen)
            out["python -c pass"] = {k: v for k, v in bare_interpreter(setting).items() if k != "files"}
            if chosen.decodes:
                out["modules beyond the bare interpreter's"] = modules_at_first_answer(setting, chosen)
        if "instructions" in kinds:
            got = instructions_per_invocation(setting, chosen, functions=args.functions, **where)
            out["instructions per invocation"] = round(got["instructions"])
            if args.functions:
                top = list(got["functions"].items())[:60]
                out["functions"] = {k: round(v) for k, v in top}
    finally:
        rig.clear(setting)
    if args.json:
        print(json.dumps(out, indent=1))
    else:
        show(out)
    return 0


def name_of(budget):
    """A budget in words."""
    return ", ".join([budget["count"], budget["contender"], *(budget[k] for k in ("event", "framing") if k in budget)])


def show(value, indent=0):
    """Prints nested dicts and lists as indented lines."""
    for key, item in value.items():
        if isinstance(item, dict):
            print(" " * indent + f"{key}:")
            show(item, indent + 2)
        elif isinstance(item, list):
            print(" " * indent + f"{key}: {len(item)}")
            for entry in item:
                print(" " * indent + f"  {entry}")
        else:
            print(" " * indent + f"{key}: {item:g}" if isinstance(item, float) else " " * indent + f"{key}: {item}")


if __name__ == "__main__":
    try:
        sys.exit(main())
    except ToolMissing as exc:
        print(f"counts: {exc}", file=sys.stderr)
        sys.exit(3)
    except rig.BenchError as exc:
        print(f"counts: {exc}", file=sys.stderr)
        sys.exit(2)
