"""A function in a process of its own, started and ended as Lambda does it.

Owns the process, its environment and its log.  Promises: nothing of the developer's own environment gets in but what a
program needs to run, no home and no credentials above all; at the deadline the whole process group gets SIGKILL; a
process that ended is started again for the next invocation.  Must not know HTTP: that is the endpoint's.
Source: Runtime API contract, "Environment variables" and "When the process ends or hangs".
"""

import contextlib
import datetime
import math
import os
import resource
import select
import signal
import site
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal, Self

from fastlambda.local.endpoint import Result, RuntimeApi
from fastlambda.local.machine import State

# Lambda's own; an init that takes longer is repeated inside the first invocation, under the function's timeout.
INIT_LIMIT_S = 10.0
DEFAULT_TIMEOUT_S = 3.0
DEFAULT_MEMORY_MB = 128

# What a program needs from the machine it runs on.  Everything else must be given, so that a function which lacks a
# variable fails here and not only in Lambda, and nothing of the developer's is used by accident.
INHERITED = (
    "PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "TMPDIR", "VIRTUAL_ENV", "SSL_CERT_FILE", "SSL_CERT_DIR",
    "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NO_PROXY", "no_proxy",
)  # fmt: skip
# Inherited without the user and the password that a proxy's address may have.
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy")
# As in Lambda, there is no home; one has to be named all the same, or `~` would be the developer's by way of the
# system's list of users.  Nobody can make a folder there, so what fails for lack of a home in Lambda fails here, too.
NO_HOME = "/proc/no-home"

# Lambda lets no owner set these.  Credentials and region are not in the list: here they have to come from somewhere.
RESERVED = frozenset({
    "AWS_EXECUTION_ENV", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "AWS_LAMBDA_FUNCTION_NAME", "AWS_LAMBDA_FUNCTION_VERSION",
    "AWS_LAMBDA_INITIALIZATION_TYPE", "AWS_LAMBDA_LOG_GROUP_NAME", "AWS_LAMBDA_LOG_STREAM_NAME",
    "AWS_LAMBDA_MAX_CONCURRENCY", "AWS_LAMBDA_RUNTIME_API", "LAMBDA_RUNTIME_DIR", "LAMBDA_TASK_ROOT",
})  # fmt: skip

# The names that AWS's server, a Go program, gives to signals.
_SIGNALS = {
    1: "hangup", 2: "interrupt", 3: "quit", 4: "illegal instruction", 5: "trace/breakpoint trap", 6: "aborted",
    7: "bus error", 8: "floating point exception", 9: "killed", 10: "user defined signal 1",
    11: "segmentation fault", 12: "user defined signal 2", 13: "broken pipe", 14: "alarm clock", 15: "terminated",
}  # fmt: skip


def check_variable(name: str) -> None:
    """Says whether a function's owner may set a variable.

    Raises:
        ValueError: Lambda would not take it, or would not pass it on.
    """
    if not (name.isascii() and name.isidentifier()):
        raise ValueError(f"{name!r} is no name for an environment variable")
    if name in RESERVED:
        raise ValueError(f"{name} is reserved: Lambda sets it")
    if name.startswith("_"):
        raise ValueError(f"{name}: Lambda drops names that start with an underscore")


def lambda_environment(
    handler: str,
    address: str,
    *,
    memory_mb: int = DEFAULT_MEMORY_MB,
    name: str = "function",
    task_root: str | None = None,
    snapstart: bool = False,
    env: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """The environment in which Lambda starts a function.

    Args:
        handler: for _HANDLER.
        address: host:port of the Runtime API.
        memory_mb: the function's memory size.
        name: the function's name.
        task_root: where its code is; None: the working directory.
        snapstart: says so, and leaves out the names of the log.
        env: the owner's own variables; they win over the defaults for locale, time zone, region and home.

    Raises:
        ValueError: `env` has a variable that Lambda would not take.
    """
    for variable in env or {}:
        check_variable(variable)
    made = {key: os.environ[key] for key in INHERITED if key in os.environ}
    made.update((key, without_password(os.environ[key])) for key in PROXIES if key in os.environ)
    made.update(HOME=NO_HOME, AWS_EC2_METADATA_DISABLED="true", **_packages_at_home())
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"
    made.update(LANG="en_US.UTF-8", TZ=":UTC", AWS_REGION=region, AWS_DEFAULT_REGION=region)
    made.update(env or {})
    made.update(
        AWS_LAMBDA_RUNTIME_API=address,
        _HANDLER=handler,
        LAMBDA_TASK_ROOT=os.path.abspath(task_root or os.getcwd()),
        LAMBDA_RUNTIME_DIR="/var/runtime",
        AWS_EXECUTION_ENV=f"AWS_Lambda_python{sys.version_info[0]}.{sys.version_info[1]}",
        AWS_LAMBDA_FUNCTION_NAME=name,
        AWS_LAMBDA_FUNCTION_VERSION="$LATEST",
        AWS_LAMBDA_FUNCTION_MEMORY_SIZE=str(memory_mb),
        AWS_LAMBDA_INITIALIZATION_TYPE="snap-start" if snapstart else "on-demand",
    )
    if not snapstart:
        today = datetime.datetime.now(datetime.UTC).strftime("%Y/%m/%d")
        made["AWS_LAMBDA_LOG_GROUP_NAME"] = f"/aws/lambda/{name}"
        made["AWS_LAMBDA_LOG_STREAM_NAME"] = f"{today}/[$LATEST]{uuid.uuid4().hex}"
    return made


def without_password(address: str) -> str:
    """A proxy's address without the user and the password in it."""
    scheme, separator, rest = address.rpartition("://")
    return scheme + separator + rest.rpartition("@")[2]  # the last @: a password may have a slash in it


def _packages_at_home() -> dict[str, str]:
    """Where Python finds what was installed with `pip install --user`, when it looks there: not by way of HOME."""
    if not site.ENABLE_USER_SITE:
        return {}
    return {"PYTHONUSERBASE": site.getuserbase()}


def exit_reason(status: int) -> str:
    """How AWS's server tells the end of a process.

    Args:
        status: as os.wait4() gives it.
    """
    code = os.waitstatus_to_exitcode(status)
    if code == 0:
        return "Runtime exited without providing a reason"
    if code > 0:
        return f"Runtime exited with error: exit status {code}"
    dumped = " (core dumped)" if os.WCOREDUMP(status) else ""
    return f"Runtime exited with error: signal: {_SIGNALS.get(-code, f'signal {-code}')}{dumped}"


@dataclass
class Report:
    """One invocation, as the REPORT line of Lambda's log tells it; str() gives that line.

    Attributes:
        result: the outcome.
        duration_ms: from handing out the event until the process asked for the next one, or ended.
        init_ms: from starting the process until it asked for its first event; None when it had been started before.
        memory_mb: the function's memory size.
        max_memory_mb: most memory that the process has used so far.
        exit_reason: set when the process ended although it had answered.
    """

    result: Result
    duration_ms: float
    init_ms: float | None
    memory_mb: int
    max_memory_mb: int
    exit_reason: str | None = None

    @property
    def billed_ms(self) -> int:
        """Whole milliseconds, init included."""
        return math.ceil(self.duration_ms + (self.init_ms or 0.0))

    def __str__(self) -> str:
        parts = [
            f"REPORT RequestId: {self.result.request_id}",
            f"Duration: {self.duration_ms:.2f} ms",
            f"Billed Duration: {self.billed_ms} ms",
            f"Memory Size: {self.memory_mb} MB",
            f"Max Memory Used: {self.max_memory_mb} MB",
        ]
        if self.init_ms is not None:
            parts.append(f"Init Duration: {self.init_ms:.2f} ms")
        if self.result.kind == "timeout":
            parts.append("Status: timeout")
        elif self.result.kind in ("exit", "init_error", "restore_error"):
            parts += ["Status: error", f"Error Type: {self.result.error_type}"]
        return "\t".join(parts)


class _Log:
    """The pipe on which a process writes stdout and stderr, and the thread that empties it."""

    def __init__(self, sink: Callable[[bytes], object]) -> None:
        self._sink = sink
        self._fd, self.write_fd = os.pipe()
        os.set_blocking(self._fd, False)
        self._lock = threading.Lock()
        self._is_open = True
        self._thread = threading.Thread(target=self._pump, name="function-log", daemon=True)

    def start(self) -> None:
        """The process has its end of the pipe."""
        os.close(self.write_fd)
        self._thread.start()

    def _pump(self) -> None:
        waiting = select.poll()
        waiting.register(self._fd, select.POLLIN)
        while self.drain():
            # Wakes now and then to see that it was closed: a process that left the group may hold the pipe for ever.
            waiting.poll(500)

    def drain(self) -> bool:
        """Passes on what has been written up to now.  False: there will be no more."""
        with self._lock:
            while self._is_open:
                try:
                    data = os.read(self._fd, 65536)
                except BlockingIOError:
                    return True
                if not data:
                    break
                self._sink(data)
            return False

    def close(self) -> None:
        """Passes on the rest; may be called twice."""
        self.drain()
        with self._lock:
            if not self._is_open:
                return
            self._is_open = False
        self._thread.join()
        os.close(self._fd)


class Function:
    """A function whose process is started with its first invocation, and again after it has ended.

    Use it in a `with` block, or call stop().

    Args:
        handler: module.function or module:RunnerClass.
        timeout_s: seconds that an invocation may take.
        memory_mb: the function's memory size.  It is told to the function, and not enforced.
        env: the owner's variables.
        cwd: directory of the code; None: the present one.
        command: what to start; None: `python -m fastlambda HANDLER` with the Python that runs this.
        log: is called with what the process writes, as it comes, from any thread; None keeps it in `logs`.
        snapstart: takes the process through a snapshot and restore before its first invocation.
        name: the function's name.
        init_limit_s: seconds that the init may take before it is repeated inside the first invocation.

    Attributes:
        api: the endpoint that it polls.
        logs: all that the process has written, when no `log` was given.
        starts: how many processes were started.

    Raises:
        ValueError: `env` has a variable that Lambda would not take.
    """

    def __init__(
        self,
        handler: str,
        *,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        memory_mb: int = DEFAULT_MEMORY_MB,
        env: Mapping[str, str] | None = None,
        cwd: str | os.PathLike[str] | None = None,
        command: Sequence[str] | None = None,
        log: Callable[[bytes], object] | None = None,
        snapstart: bool = False,
        name: str = "function",
        init_limit_s: float = INIT_LIMIT_S,
    ) -> None:
        self.handler = handler
        self.timeout_s = timeout_s
        self.memory_mb = memory_mb
        self.logs = bytearray()
        self.starts = 0
        self._cwd = os.path.abspath(cwd or os.getcwd())
        self._command = list(command or [sys.executable, "-m", "fastlambda", handler])
        self._sink: Callable[[bytes], object] = log or self.logs.extend
        self._snapstart = snapstart
        self._init_limit_s = init_limit_s
        self._peak_kb = 0
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._log: _Log | None = None
        self._watcher: threading.Thread | None = None
        self._reason = ""
        self.api = RuntimeApi(
            snapstart=snapstart, invoked_function_arn=f"arn:aws:lambda:us-east-1:012345678912:function:{name}"
        )
        try:
            self._env = lambda_environment(
                handler,
                self.api.address,
                memory_mb=memory_mb,
                name=name,
                task_root=self._cwd,
                snapstart=snapstart,
                env=env,
            )
        except BaseException:
            self.api.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def pid(self) -> int | None:
        """Process id; None when none runs."""
        process = self._process
        return process.pid if process is not None and process.returncode is None else None

    @property
    def max_memory_mb(self) -> int:
        """Most memory that the present process, or the last one, has used, in MiB."""
        self._sample()
        return math.ceil(self._peak_kb / 1024)

    def invoke(
        self,
        event: bytes,
        *,
        on_chunk: Callable[[bytes], object] | None = None,
        **more: Any,
    ) -> Report:
        """Invokes the function and waits until the invocation is over.

        Args:
            event: JSON text, as it goes to the function.
            on_chunk: is called with each part of the result as it arrives; the result then has no body.
            more: see RuntimeApi.submit().

        Raises:
            OSError: the process cannot be started.
        """
        init_ms: float | None = None
        elapsed_s = 0.0
        outcome: Literal["ready", "init_error", "exited", "slow"] = "ready"
        if self.pid is None:
            outcome, init_s = self._start(self._init_limit_s)
            if outcome in ("exited", "slow"):
                outcome, init_s = self._start(self.timeout_s)
                elapsed_s = init_s
            else:
                init_ms = init_s * 1e3
        pending = self.api.submit(
            event, timeout_s=self.timeout_s, elapsed_s=elapsed_s, streaming=on_chunk is not None, **more
        )
        timed_out = f"Task timed out after {self.timeout_s:.2f} seconds"
        if outcome == "slow":
            self.api.fail_queued(timed_out, "timeout", "Sandbox.Timeout")
        elif self.pid is None:
            # It ended in its init, or since its last answer: nobody will ask for this event.
            self.api.fail_queued(self._reason)
        if on_chunk is not None:
            for chunk in pending.chunks():
                on_chunk(chunk)
        result = pending.answer()
        ended_because = None
        if result.kind == "timeout":
            self.kill()
        elif not pending.finished():
            self.kill()
            ended_because = timed_out
        elif result.kind in ("response", "error") and self._is_ending():
            ended_because = self._reason
        ended_ns = time.monotonic_ns()
        duration_s = elapsed_s
        if pending.handed_out_ns:
            duration_s += (ended_ns - pending.handed_out_ns) / 1e9
        self._flush()
        return Report(result, duration_s * 1e3, init_ms, self.memory_mb, self.max_memory_mb, ended_because)

    def kill(self) -> None:
        """Ends the process and its children at once, as Lambda does at the deadline."""
        self._sample()
        with self._lock:
            process = self._process
            # Until it is reaped, the id is its own and no other process's.
            if process is not None and process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
        if self._watcher is not None:
            self._watcher.join()

    def stop(self, grace_s: float = 0.0) -> None:
        """Ends the process and the endpoint; may be called twice.

        Args:
            grace_s: seconds between SIGTERM and SIGKILL; 0: no SIGTERM, as Lambda does without extensions.
        """
        if grace_s > 0 and self._watcher is not None:
            with self._lock:
                if self._process is not None and self._process.returncode is None:
                    self._process.send_signal(signal.SIGTERM)
            self._watcher.join(grace_s)
        self.kill()
        if self._log is not None:
            self._log.close()
        self.api.close()

    # ---- the process ----------------------------------------------------------------------------------------------

    def _start(self, limit_s: float) -> tuple[Literal["ready", "init_error", "exited", "slow"], float]:
        """Starts a process and waits until it is ready.  Gives the outcome and the seconds it took."""
        if self._watcher is not None:
            self._watcher.join()
        if self._log is not None:
            self._log.close()
        self.api.reset()
        generation = self.api.generation
        self._peak_kb = 0
        begun = time.monotonic()
        log = _Log(self._sink)
        try:
            process = subprocess.Popen(
                self._command,
                env=self._env,
                cwd=self._cwd,
                stdin=subprocess.DEVNULL,
                stdout=log.write_fd,
                stderr=log.write_fd,
                start_new_session=True,
            )
        finally:
            log.start()
            self._log = log
        self._process = process
        self.starts += 1
        self._watcher = threading.Thread(target=self._watch, args=(process,), name="function-watch", daemon=True)
        self._watcher.start()
        outcome: Literal["ready", "init_error", "exited", "slow"] = "ready"
        try:
            state = self.api.wait_state(
                State.READY, State.INIT_ERROR, State.RESTORE_READY, timeout_s=limit_s, generation=generation
            )
            if state is State.RESTORE_READY:
                self.api.restore()
                state = self.api.wait_state(State.READY, State.RESTORE_ERROR, timeout_s=limit_s, generation=generation)
            if state is not State.READY:
                outcome = "init_error"
        except ChildProcessError:
            outcome = "exited" if self.api.init_error is None else "init_error"
        except TimeoutError:
            outcome = "slow"
        took_s = time.monotonic() - begun
        if outcome == "slow":
            self.kill()
        elif outcome == "init_error":
            # It has said what is wrong and ends by itself; its last words belong into the log.
            self._watcher.join(2)
            self.kill()
        return outcome, took_s

    def _watch(self, process: "subprocess.Popen[bytes]") -> None:
        """Waits for the end of a process, ends what it left running, and tells the endpoint."""
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        with self._lock:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        # What started the process counts in its maximum, too: a smaller number is only a bound.
        ours = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        if usage.ru_maxrss > ours or not self._peak_kb:
            in_kb = 1024 if sys.platform == "darwin" else 1
            self._peak_kb = max(self._peak_kb, usage.ru_maxrss // in_kb)
        self._reason = exit_reason(status)
        self._flush()
        self.api.process_exited(self._reason)
        self.api.fail_queued(self._reason)

    def _is_ending(self) -> bool:
        """After an invocation that is over: True when it is over because the process ended."""
        if self.api.state is State.READY:
            return False
        if self._watcher is not None:
            self._watcher.join()
        return True

    def _sample(self) -> None:
        """Notes the most memory that the running process has used, where the system tells it."""
        pid = self.pid
        if pid is None:
            return
        try:
            with open(f"/proc/{pid}/status", "rb") as file:
                for line in file:
                    if line.startswith(b"VmHWM:"):
                        self._peak_kb = max(self._peak_kb, int(line.split()[1]))
                        break
        except OSError:
            pass

    def _flush(self) -> None:
        if self._log is not None:
            self._log.drain()
