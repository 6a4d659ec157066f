"""What a run tells: tables for the terminal, one JSON file, plots.

Knows nothing of processes; works on the `cells` that run.py collects, and on a result file read back.
"""

import datetime
import os
import platform
import subprocess
import sys
from pathlib import Path

import figures
from contenders import AWS, FLOOR, PASS

DOUBTS = [
    "Loopback is not Lambda: there, the platform's own work and the CPU share of the function add to every figure.",
    "A hot loop flatters caches: a function called once a second finds them colder than here.",
    "Cold start is the client's part only: the sandbox's start and the code's download come first; files were cached.",
    "Times from a shared machine drift; compare ratios, which are taken within a round, not times of different runs.",
]

# What the project promises: text, suite, (handler, event, framing), metric, contender, base, limit.
TARGETS = [
    ("first answer, plain handler", "cold", ("plain", "20B", "length"), "first_answer_ms", "fastlambda", PASS, 1.0),
    ("first answer, plain handler", "cold", ("plain", "20B", "length"), "first_answer_ms", "fastlambda", AWS, 0.38),
    (
        "first answer, logging+json",
        "cold",
        ("logging+json", "20B", "length"),
        "first_answer_ms",
        "fastlambda",
        AWS,
        1.0,
    ),
    ("first answer, boto3", "cold", ("boto3", "20B", "length"), "first_answer_ms", "fastlambda", AWS, 1.0),
    ("wall, 20 B", "warm", ("plain", "20B", "length"), "wall_us", "fastlambda", FLOOR, 1.15),
    ("wall, 20 B", "warm", ("plain", "20B", "length"), "wall_us", "fastlambda", AWS, 0.6),
    ("CPU, 20 B", "warm", ("plain", "20B", "length"), "cpu_us", "fastlambda", FLOOR, 1.35),
    ("wall, 1.4 KB", "warm", ("plain", "1.4KB", "length"), "wall_us", "fastlambda", FLOOR, 1.15),
    ("wall, 1.4 KB", "warm", ("plain", "1.4KB", "length"), "wall_us", "fastlambda", AWS, 0.6),
    ("CPU, 1.4 KB", "warm", ("plain", "1.4KB", "length"), "cpu_us", "fastlambda", FLOOR, 1.35),
    ("wall, 20 B, pipelined", "warm", ("plain", "20B", "length"), "wall_us", "fastlambda, pipelined", FLOOR, 0.65),
    ("wall, 100 KB", "volume", ("plain", "100KB", "chunked"), "wall_us", "fastlambda", AWS, 0.35),
    ("wall, 1.2 MB", "volume", ("plain", "1.2MB", "chunked"), "wall_us", "fastlambda", AWS, 0.25),
]

COLUMNS = {
    "cold": [("first_next_ms", "first /next, ms", 2), ("first_answer_ms", "first answer, ms", 2)],
    "warm": [
        ("wall_us", "wall, us", 1),
        ("cpu_us", "CPU, us", 1),
        ("answer_p50_us", "answer p50", 1),
        ("answer_p99_us", "p99", 1),
    ],
    "memory": [
        ("idle_mib", "idle, MiB", 2),
        ("over_bare_mib", "over bare", 2),
        ("load_mib", "after load", 2),
        ("growth_mib", "growth", 3),
    ],
}
COLUMNS["volume"] = COLUMNS["warm"]
HEADLINE = {"cold": "first_answer_ms", "warm": "wall_us", "volume": "wall_us", "memory": None}
BASES = {"cold": (PASS, AWS), "warm": (FLOOR, AWS), "volume": (FLOOR, AWS), "memory": ()}


def machine(command):
    """What a result file says about where it came from."""

    def output(*argv):
        try:
            return subprocess.run(
                argv, capture_output=True, text=True, cwd=Path(__file__).parent, check=True
            ).stdout.strip()
        except (OSError, subprocess.CalledProcessError):
            return None

    cpu = None
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                cpu = line.partition(":")[2].strip()
                break
    except OSError:
        pass
    changed = output("git", "status", "--porcelain", "--untracked-files=no")
    return {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "commit": output("git", "rev-parse", "--short=12", "HEAD"),
        "uncommitted_changes": None if changed is None else bool(changed),
        "command": command,
        "python": platform.python_version(),
        "compiler": output("cc", "--version").splitlines()[0] if output("cc", "--version") else None,
        "cpu": cpu,
        "cores": os.cpu_count(),
        "load_at_start": os.getloadavg()[0],
        "kernel": f"{platform.system()} {platform.release()}",
        "machine": platform.machine(),
        "gc": "enabled in every contender, as the interpreter starts; none changes it",
        "doubts": DOUBTS,
    }


def key_of(cell):
    """The group that a cell belongs to: its contenders are compared with each other."""
    return cell["suite"], cell["handler"], cell["event"], cell["framing"]


def add_ratios(cells):
    """Adds each cell's summaries and its ratios to the bases of its suite."""
    by_name = {(key_of(c), c["contender"]): c for c in cells}
    for cell in cells:
        cell["summary"] = {m: figures.summary(v) for m, v in cell["samples"].items() if v}
        cell["ratios"] = {}
        for base in BASES[cell["suite"]]:
            other = by_name.get((key_of(cell), base))
            if not other:
                continue
            cell["ratios"][base] = {
                m: figures.ratio(v, other["samples"][m])
                for m, v in cell["samples"].items()
                if v and other["samples"].get(m)
            }


def targets(cells):
    """The promises laid against the cells: a list of dicts; `holds` is None where nothing was measured."""
    by_name = {(key_of(c), c["contender"]): c for c in cells}
    out = []
    for text, suite, group, metric, contender, base, limit in TARGETS:
        cell = by_name.get(((suite, *group), contender))
        got = cell and cell["ratios"].get(base, {}).get(metric)
        row = {"what": f"{text}: {contender} / {base}", "limit": limit, "measured": None, "holds": None}
        if got:
            row |= {"measured": got["median"], "q1": got["q1"], "q3": got["q3"], "holds": got["median"] <= limit}
        out.append(row)
    for event in ("100KB", "1.2MB"):
        row = {
            "what": f"wall, {event}: fastlambda, chunked / content-length",
            "limit": 1.05,
            "measured": None,
            "holds": None,
        }
        one = by_name.get((("volume", "plain", event, "chunked"), "fastlambda"))
        two = by_name.get((("volume", "plain", event, "length"), "fastlambda"))
        if one and two:
            got = figures.ratio(one["samples"]["wall_us"], two["samples"]["wall_us"])
            row |= {"measured": got["median"], "q1": got["q1"], "q3": got["q3"], "holds": got["median"] <= 1.05}
        out.append(row)
    for cell in cells:
        if cell["suite"] == "memory" and cell["contender"] == "fastlambda":
            for metric, text, limit in (
                ("over_bare_mib", "memory idle, MiB over the bare interpreter", 2.0),
                ("growth_mib", f"memory growth over {cell['count']} invocations, MiB", 0.25),
            ):
                got = cell["summary"][metric]
                row = {"what": text, "limit": limit, "measured": got["median"], "q1": got["q1"], "q3": got["q3"]}
                out.append(row | {"holds": got["median"] <= limit})
    return out


def table(rows):
    """Lines of a plain text table: the first column to the left, the others to the right."""
    widths = [max(len(r[i]) for r in rows) for i in range(len(rows[0]))]
    lines = []
    for n, row in enumerate(rows):
        lines.append(
            "  "
            + "  ".join(c.ljust(w) if i == 0 else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True)))
        )
        if n == 0:
            lines.append("  " + "-" * (sum(widths) + 2 * len(widths) - 2))
    return lines


def group_table(key, cells):
    """The table of one group; the spread is the distance of the quartiles."""
    suite, handler, event, framing = key
    columns = COLUMNS[suite]
    head = ["", "right"]
    for _, title, _ in columns:
        head += [title, "iqr"]
    head += [f"x {base}" for base in BASES[suite]]
    rows = [head]
    for cell in cells:
        row = [cell["contender"], cell["right"]]
        for metric, _, digits in columns:
            s = cell["summary"].get(metric)
            row += [f"{s['median']:.{digits}f}", f"{s['q3'] - s['q1']:.{digits}f}"] if s else ["-", ""]
        for base in BASES[suite]:
            got = cell["ratios"].get(base, {}).get(HEADLINE[suite])
            row.append(f"{got['median']:.2f}" if got else "-")
        rows.append(row)
    one = cells[0]
    if suite == "cold":
        title = f"Cold start, handler: {handler}. From spawn, {event} event. {one['rounds']} rounds."
    elif suite == "memory":
        title = f"Resident memory, {handler} handler. {one['rounds']} rounds of {one['count']} invocations of {event}."
    else:
        counted = f"{one['count'] - one['warmup']} invocations after {one['warmup']} of warm-up"
        title = f"{event} event, {framing}. {one['rounds']} rounds of {counted}; wall: median of a round."
    return ["", title, *table(rows)]


def text(result):
    """The whole report for a terminal."""
    groups = {}
    for cell in result["cells"]:
        groups.setdefault(key_of(cell), []).append(cell)
    lines = []
    for key, cells in groups.items():
        lines += group_table(key, cells)
    rows = [["promised", "at most", "measured", "iqr", "holds"]]
    for t in result["targets"]:
        if t["measured"] is not None:
            spread = f"{t['q3'] - t['q1']:.3f}"
            rows.append([t["what"], f"{t['limit']:.2f}", f"{t['measured']:.3f}", spread, "yes" if t["holds"] else "NO"])
    if len(rows) > 1:
        lines += ["", "Promises", *table(rows)]
    for name, why in result["left_out"].items():
        lines += ["", f"Left out: {name}: {why}"]
    m = result["machine"]
    changed = " with changes" if m["uncommitted_changes"] else ""
    lines += [
        "",
        f"{m['date']}, commit {m['commit']}{changed}; command: {m['command']}; order of runs: seed {result['seed']}",
    ]
    lines += [f"Python {m['python']}, {m['cpu']}, {m['cores']} cores, {m['kernel']}; {m['pinned']}"]
    lines += [f"packages: {', '.join(f'{k} {v}' for k, v in sorted(result['packages'].items()))}"]
    lines += ["Doubts:", *(f"  - {d}" for d in DOUBTS)]
    return "\n".join(lines)


def plot(result, stem):
    """Writes STEM-cold, -warm and -volume as SVG and PNG; returns the paths, or none when matplotlib is not there."""
    try:
        import matplotlib
    except ImportError:
        print("no plots: matplotlib is not installed (it is in the extra `bench`)", file=sys.stderr)
        return []
    matplotlib.use("Agg")
    matplotlib.rcParams["svg.hashsalt"] = "fastlambda"  # the same figures give the same file
    import matplotlib.pyplot as plt

    written = []
    for suite, unit in (
        ("cold", "ms from spawn to the first answer"),
        ("warm", "us per invocation"),
        ("volume", "us per invocation"),
    ):
        groups = {}
        for cell in result["cells"]:
            if cell["suite"] == suite and cell["samples"].get(HEADLINE[suite]):
                groups.setdefault(key_of(cell), []).append(cell)
        if not groups:
            continue
        sizes = [len(cells) for cells in groups.values()]
        figure, axes = plt.subplots(
            len(groups),
            1,
            figsize=(8, 0.9 * len(groups) + 0.3 * sum(sizes)),
            squeeze=False,
            gridspec_kw={"height_ratios": sizes},
        )
        for axis, ((_, handler, event, framing), cells) in zip(axes[:, 0], groups.items(), strict=True):
            cells = list(reversed(cells))
            for y, cell in enumerate(cells):
                values = cell["samples"][HEADLINE[suite]]
                ours = cell["contender"].startswith("fastlambda")
                colour = "#c2410c" if ours else "#475569"
                spread = [(i % 7 - 3) * 0.07 for i in range(len(values))]  # so that equal values do not hide each other
                axis.plot(
                    values, [y + d for d in spread], "o", markersize=3, alpha=0.45, color=colour, markeredgewidth=0
                )
                median = cell["summary"][HEADLINE[suite]]["median"]
                axis.plot([median, median], [y - 0.36, y + 0.36], color=colour, linewidth=2)
                axis.annotate(f"{median:.1f}", (median, y + 0.36), fontsize=7, ha="center", va="bottom", color=colour)
            axis.set_yticks(range(len(cells)), [c["contender"] for c in cells], fontsize=8)
            axis.set_ylim(-0.7, len(cells) - 0.1)
            axis.set_xlim(left=0)
            axis.grid(axis="x", alpha=0.3)
            what = f"handler: {handler}" if suite == "cold" else f"{event} event, {framing}"
            axis.set_title(what, fontsize=9, loc="left")
            axis.tick_params(axis="x", labelsize=8)
        axes[-1, 0].set_xlabel(unit + " (each dot one process, the bar the median)", fontsize=8)
        m = result["machine"]
        figure.suptitle(
            f"{m['date'][:10]}  {m['commit']}  Python {m['python']}  {m['cpu']}  loopback", fontsize=7, color="#64748b"
        )
        figure.tight_layout()
        for ending, options in (("svg", {"metadata": {"Date": None}}), ("png", {"dpi": 110})):
            path = Path(f"{stem}-{suite}.{ending}")
            figure.savefig(path, **options)
            written.append(path)
        plt.close(figure)
    return written
