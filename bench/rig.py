"""The test bench proper: compiles the C programs, lays out a clean setting, runs one contender once.

Owns processes and their setting.  Promises: every contender gets the same interpreter, the same packages and the same
environment; a process is ended by its id; nothing of the caller's AWS_*, FASTLAMBDA_* or PYTHON* variables leaks in.
Knows no statistics.
"""

import importlib.metadata
import importlib.util
import json
import os
import re
import select
import shlex
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import events
from contenders import CONTENDERS, Contender

HERE = Path(__file__).resolve().parent
WORK = HERE.parent / ".cache" / "bench"
HANDLERS = {
    "plain": "echo.handler",
    "logging+json": "echo_logging.handler",
    "boto3": "echo_boto3.handler",
    "modules": "modules.handler",
}
PACKAGES = ("fastlambda", "awslambdaric", "boto3", "h11", "orjson")


class BenchError(RuntimeError):
    """The bench itself cannot go on, or a contender failed; the text says which."""


@dataclass
class Setting:
    """Where and with what everything runs.

    Args:
        python: the interpreter of every Python contender.
        bin: folder of the compiled programs.
        task: folder of the handlers, as /var/task.
        layer: folder of the packages, as /opt/python.
        events: folder of the event files.
        server_cpu: core of the endpoint and of this process, None: not pinned.
        client_cpu: core of the contender, None: not pinned.
        writes: how the endpoint writes large answers: go or one.
    """

    python: str
    bin: Path
    task: Path
    layer: Path
    events: Path
    server_cpu: int | None
    client_cpu: int | None
    writes: str = "go"

    def environment(self, handler, port, extra=None):
        """What Lambda gives a function, and nothing else."""
        return {
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "LANG": "C.UTF-8",
            "TZ": ":UTC",
            "PYTHONPATH": f"{self.task}:{self.layer}",
            "AWS_EXECUTION_ENV": f"AWS_Lambda_python{sys.version_info.major}.{sys.version_info.minor}",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1769",
            "AWS_LAMBDA_FUNCTION_NAME": "bench",
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
            "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/bench",
            "AWS_LAMBDA_LOG_STREAM_NAME": "2024/03/12/[$LATEST]0a1b2c3d4e5f60718293a4b5c6d7e8f9",
            "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{port}",
            "AWS_REGION": "eu-central-1",
            "LAMBDA_TASK_ROOT": str(self.task),
            "_HANDLER": handler,
            **(extra or {}),
        }

    def command(self, contender, handler):
        """The argument list of a contender with its placeholders filled in."""
        fill = {
            "{python}": self.python,
            "{handler}": handler,
            "{bin}": str(self.bin),
            "{peers}": str(HERE / "peers"),
        }
        out = []
        for part in contender.command:
            for name, value in fill.items():
                part = part.replace(name, value)
            out.append(part)
        found = shutil.which(out[0])
        if not found:
            raise BenchError(f"{contender.name}: no such program: {out[0]}")
        return [found, *out[1:]]


def compile_c(name, into, *options, cc=None):
    """Compiles NAME.c of this folder with the system's C compiler; returns the path of the result, into/NAME."""
    cc = shlex.split(cc or os.environ.get("CC", "cc"))
    source, result = HERE / f"{name}.c", into / name
    fresh = into / f"{name}.{os.getpid()}"  # renamed when complete: two benches may compile at once
    command = [*cc, "-O2", "-Wall", "-Wextra", "-o", fresh, source, *options]
    built = subprocess.run(command, capture_output=True, text=True)
    if built.returncode:
        raise BenchError(f"compiling {source.name} with {shlex.join(cc)} failed:\n{built.stderr}")
    return fresh.replace(result)


def compile_tools(into, cc=None):
    """Compiles endpoint.c and client.c, unless they are up to date."""
    into.mkdir(parents=True, exist_ok=True)
    for name in ("endpoint", "client"):
        source, program = HERE / f"{name}.c", into / name
        if not program.exists() or program.stat().st_mtime <= source.stat().st_mtime:
            compile_c(name, into, cc=cc)


def clean_interpreter(into):
    """A virtual environment with nothing in it: no .pth file of this machine takes part in a start."""
    python = into / "bin" / "python3"
    if not python.exists():
        env = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
        base = getattr(sys, "_base_executable", None) or sys.executable
        subprocess.run([os.path.realpath(base), "-m", "venv", "--without-pip", str(into)], check=True, env=env)
    return str(python)


def distributions(names):
    """The named distributions and what they require, as far as they are installed: {name: version}."""
    found, todo = {}, list(names)
    while todo:
        name = todo.pop()
        if name in found:
            continue
        try:
            dist = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            continue
        found[dist.metadata["Name"]] = dist.version
        for line in dist.requires or ():
            if "extra ==" not in line:
                todo.append(re.match(r"[A-Za-z0-9._-]+", line)[0])
    return found


def lay_out_packages(into):
    """A folder that links to the packages of PACKAGES and nothing else, as a layer would hold them."""
    if into.exists():
        shutil.rmtree(into)
    into.mkdir(parents=True)
    found = distributions(PACKAGES)
    for name in found:
        if name == "fastlambda":
            continue
        dist = importlib.metadata.distribution(name)
        for top in {Path(str(f)).parts[0] for f in dist.files or ()}:
            source = Path(str(dist.locate_file(top)))
            if top not in ("..", "__pycache__") and source.exists() and not (into / top).exists():
                (into / top).symlink_to(source)
    spec = importlib.util.find_spec("fastlambda")
    if not (spec and spec.submodule_search_locations):
        raise BenchError(
            f"fastlambda is not installed for {sys.executable}; in a clone, `python3 dev.py bench` sets up .venv, "
            "and its interpreter runs every tool: .venv/bin/python bench/counts.py --check"
        )
    (into / "fastlambda").symlink_to(Path(next(iter(spec.submodule_search_locations))).resolve())
    return found


def prepare(python=None, pin=True, writes="go"):
    """Makes the setting; returns it and the versions of the packages in it."""
    tag = f"py{sys.version_info.major}.{sys.version_info.minor}-{os.getpid()}"
    root = WORK / "runs" / tag
    compile_tools(WORK / "bin")
    layer, task, files = root / "layer", root / "task", root / "events"
    versions = lay_out_packages(layer)
    shutil.copytree(HERE / "handlers", task, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True)
    files.mkdir(parents=True, exist_ok=True)
    for name, make in events.EVENTS.items():
        (files / name).write_bytes(events.encode(make()))
    cpus = sorted(os.sched_getaffinity(0))
    pinned = pin and len(cpus) > 1
    setting = Setting(
        python=python or clean_interpreter(WORK / f"python{sys.version_info.major}.{sys.version_info.minor}"),
        bin=WORK / "bin",
        task=task,
        layer=layer,
        events=files,
        server_cpu=cpus[0] if pinned else None,
        client_cpu=cpus[-1] if pinned else None,
        writes=writes,
    )
    # Byte code as a layer has it; links to folders are not followed by compileall, so each is named.
    env = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    folders = [str(p.resolve()) for p in layer.iterdir() if p.is_dir() and not p.name.endswith(("-info", ".libs"))]
    subprocess.run(
        [setting.python, "-m", "compileall", "-q", str(task), str(HERE / "peers"), *folders], env=env, check=False
    )
    if pinned:
        os.sched_setaffinity(0, {setting.server_cpu})
    return setting, versions


def clear(setting):
    """Removes the folder of this run."""
    shutil.rmtree(setting.task.parent, ignore_errors=True)


def available(contender, versions):
    """None, or why a contender cannot take part."""
    missing = [name for name in contender.needs if name not in versions]
    return f"not installed: {', '.join(missing)}" if missing else None


def parse_peer(text):
    """A contender from `name=command`."""
    name, equals, command = text.partition("=")
    if not equals or not name.strip() or not command.strip():
        raise BenchError(f"--peer takes name=command, not {text!r}")
    return Contender(name.strip(), shlex.split(command))


def spawn(setting, argv, env, output):
    """Starts a process on the contender's core; returns its id and the monotonic time just before, in ns."""
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, str(output), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]
    here = os.getcwd()
    os.chdir(setting.task)
    if setting.client_cpu is not None:
        os.sched_setaffinity(0, {setting.client_cpu})  # the child inherits it
    try:
        start = time.monotonic_ns()
        pid = os.posix_spawn(argv[0], argv, env, file_actions=actions)
    finally:
        if setting.server_cpu is not None:
            os.sched_setaffinity(0, {setting.server_cpu})
        os.chdir(here)
    return pid, start


def end(pid, grace=0.0, sig=signal.SIGKILL):
    """Ends a process of ours by its id and collects it; returns its exit status."""
    deadline = time.monotonic() + grace
    while time.monotonic() < deadline:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return status
        time.sleep(0.005)
    os.kill(pid, sig)
    return os.waitpid(pid, 0)[1]


class Endpoint:
    """A running endpoint; used as a context manager."""

    def __init__(
        self, setting, event, count, *, warmup=0, framing="auto", sample=False, record=None, expect=None, stall_s=60
    ):
        argv = [str(setting.bin / "endpoint"), "--event", str(setting.events / event), "--count", str(count)]
        argv += ["--warmup", str(warmup), "--framing", framing, "--writes", setting.writes, "--stall-s", str(stall_s)]
        argv += ["--sample"] if sample else []
        argv += ["--record", str(record)] if record else []
        argv += ["--expect-length", str(expect)] if expect is not None else []
        self.process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        first = self.process.stdout.readline().split()
        if len(first) != 2 or first[0] != b"port":
            raise BenchError("the endpoint did not start")
        self.port = int(first[1])

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()

    def tell_pid(self, pid):
        self.process.stdin.write(b"%d\n" % pid)
        self.process.stdin.flush()

    def summary(self, pid):
        """Waits for the summary; a contender that ends early ends the wait a second later."""
        left = False
        while not select.select([self.process.stdout], [], [], 1.0)[0]:
            if left:
                self.process.kill()
                break
            # WNOWAIT: the process stays to be collected by end().
            left = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
        line = self.process.stdout.readline()
        if not line:
            raise BenchError("it ended before it had answered every invocation" if left else "the endpoint failed")
        return json.loads(line)


def run(setting, contender, handler, event, count, wrap=(), grace=0.0, **options):
    """Runs one contender once; returns the endpoint's summary with `start_ns`, the time just before its spawn.

    Args:
        setting: where and with what.
        contender: who.
        handler: a key of HANDLERS.
        event: a key of events.EVENTS.
        count: invocations, warm-up included.
        wrap: a command to put in front, such as strace's.
        grace: seconds that the process has to end by itself when the endpoint has closed the connection.
        options: of Endpoint.

    Raises:
        BenchError: it did not answer every invocation, or answered one with an error; the text holds its output.
    """
    output = setting.task.parent / "output"
    with Endpoint(setting, event, count, **options) as endpoint:
        env = setting.environment(HANDLERS[handler], endpoint.port, contender.env)
        pid, start = spawn(setting, [*wrap, *setting.command(contender, HANDLERS[handler])], env, output)
        ended = False
        try:
            if options.get("sample"):
                endpoint.tell_pid(pid)
            summary = endpoint.summary(pid)
            endpoint.process.wait()
            if grace:
                end(pid, grace, signal.SIGTERM)
                ended = True
        except BenchError as exc:
            said = output.read_text(errors="replace")[-1500:]
            raise BenchError(f"{contender.name}: {exc}\nits output: {said}") from None
        finally:
            if not ended:
                end(pid)
    summary["start_ns"] = start
    bad = summary["answered"] != count or summary["errors"] or summary["wrong_id"] or summary["wrong_length"]
    if bad or summary["other_requests"]:
        facts = {k: summary[k] for k in ("served", "answered", "errors", "wrong_id", "wrong_length", "first_error")}
        raise BenchError(f"{contender.name} failed: {facts}\nits output: {output.read_text(errors='replace')[-1500:]}")
    return summary


def verify(setting, contender, handler, event, framing):
    """Right before fast: runs three invocations and compares each answer with the event; returns the answer's length.

    The C clients echo bytes; the others may write JSON in their own way, so values are compared.
    """
    record = setting.task.parent / "record"
    run(setting, contender, handler, event, 3, framing=framing, record=record)
    raw, want = record.read_bytes(), (setting.events / event).read_bytes()
    lengths, at = set(), 0
    for _ in range(3):
        n = int.from_bytes(raw[at : at + 8], "little")
        got = raw[at + 8 : at + 8 + n]
        at += 8 + n
        lengths.add(n)
        if got != want and (not contender.decodes or json.loads(got) != json.loads(want)):
            raise BenchError(f"{contender.name}: wrong answer to {event}: {got[:200]!r}")
    return lengths.pop() if len(lengths) == 1 else None


def python_pass(setting):
    """`python -c pass`, from spawn to exit, in ns."""
    env = setting.environment("", 9)
    pid, start = spawn(setting, [setting.python, "-c", "pass"], env, setting.task.parent / "output")
    _, status = os.waitpid(pid, 0)
    stop = time.monotonic_ns()
    if status:
        raise BenchError(f"{setting.python} -c pass ended with status {status}")
    return stop - start


def bare_memory(setting):
    """Resident bytes and private bytes of an interpreter that has only started and waits."""
    output = setting.task.parent / "ready"
    output.unlink(missing_ok=True)
    # `os` and `time` are what a bare interpreter holds anyway (time is built in).
    code = "import os, time\nos.write(1, b'r')\ntime.sleep(60)"
    pid, _ = spawn(setting, [setting.python, "-c", code], setting.environment("", 9), output)
    try:
        deadline = time.monotonic() + 30
        while not (output.exists() and output.stat().st_size):
            if time.monotonic() > deadline:
                raise BenchError("the bare interpreter did not start")
            time.sleep(0.002)
        return memory_of(pid)
    finally:
        end(pid)


def memory_of(pid):
    """Resident and private bytes of a process, from /proc."""
    resident = private = 0
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        key, _, rest = line.partition(":")
        if key == "Rss":
            resident = int(rest.split()[0]) * 1024
        elif key in ("Private_Clean", "Private_Dirty"):
            private += int(rest.split()[0]) * 1024
    return resident, private


def roster(suite, peers=()):
    """The contenders of a suite, the user's own last."""
    return [c for c in [*CONTENDERS, *peers] if suite in c.suites]
