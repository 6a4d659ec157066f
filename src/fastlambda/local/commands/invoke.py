"""`fastlambda invoke`: starts a function in a process of its own and gives it an event.

Owns what is printed: responses on stdout, everything else on stderr.  Promises: bad input is refused before anything is
started.
"""

import argparse
import json
import math
import os
import sys
import time
from array import array
from collections.abc import Sequence
from typing import Any, NoReturn

from fastlambda.local.commands import CommandError
from fastlambda.local.process import DEFAULT_MEMORY_MB, DEFAULT_TIMEOUT_S, Function, Report, check_variable

# Lambda's limits of November 2026.
MAX_TIMEOUT_S = 1800
MAX_TIMEOUT_MANAGED_S = 5400
MEMORY_MB = range(128, 32768 + 1)
MAX_EVENT = 6 * 1024 * 1024
MAX_ASYNCHRONOUS_EVENT = 1024 * 1024
# More invocations than this are summed up instead of being reported one by one.
MAX_REPORTS = 10
# Seconds between two words about the progress: on a terminal, and in a log file.
TERMINAL_PACE_S = 0.2
LOG_PACE_S = 10.0

EXAMPLES = """\
The function runs with the environment variables of Lambda and none of your own, except PATH and the like: no home
folder, no credentials.  Pass what it needs with --env, credentials with --with-credentials.  Responses go to stdout,
the function's log and a REPORT line to stderr.

exit status:
  0  the function answered        1  it failed, or did not start
  2  bad arguments                130  interrupted

examples:
  fastlambda invoke app.handler '{"key": "value"}'
  fastlambda invoke app.handler @event.json --timeout 30 --memory 512
  cat event.json | fastlambda invoke app.handler -
  fastlambda invoke app:MyRunner '{}' --env TABLE=orders --with-credentials=dev
  fastlambda invoke app.handler '{}' --client-context '{"custom": {"tier": "gold"}}'
  fastlambda invoke app.handler '{}' --count 1000 >/dev/null
"""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="fastlambda invoke",
        description="Runs a function on this machine, as Lambda would.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "target", metavar="TARGET", help="module.function (an AWS handler) or module:RunnerClass (a fastlambda.Runner)"
    )
    parser.add_argument("event", metavar="EVENT", help="JSON text, @FILE to read it from a file, or - for stdin")
    parser.add_argument("--count", type=int, default=1, metavar="N", help="invoke N times, one after the other")
    parser.add_argument(
        "--timeout",
        type=float,
        default=DEFAULT_TIMEOUT_S,
        metavar="SECONDS",
        help="time limit of an invocation, to 1800, on Managed Instances to 5400 (default: %(default)g)",
    )
    parser.add_argument(
        "--memory",
        type=int,
        default=DEFAULT_MEMORY_MB,
        metavar="MB",
        help="memory size of the function, 128 to 32768 (default: %(default)s)",
    )
    parser.add_argument(
        "--invocation-type",
        choices=["RequestResponse", "Event"],
        default="RequestResponse",
        help="Event: as an asynchronous event, of which Lambda takes 1 MB (default: %(default)s, 6 MB)",
    )
    parser.add_argument("--client-context", metavar="JSON", help="client context, a JSON object")
    parser.add_argument(
        "--env",
        action="append",
        default=[],
        metavar="NAME[=VALUE]",
        help="environment variable of the function; without =VALUE it is copied from here; repeatable",
    )
    parser.add_argument(
        "--with-credentials",
        nargs="?",
        const="",
        metavar="PROFILE",
        help="give the function your AWS credentials: of that profile (--with-credentials=PROFILE), or those that the "
        "AWS CLI would use here",
    )
    return parser


def main(argv: Sequence[str]) -> int:
    """Invokes the function.

    Args:
        argv: what comes after `fastlambda invoke`.

    Returns:
        0 when all invocations succeeded, else 1.

    Raises:
        CommandError: an argument is wrong; nothing was started.
        SystemExit: for --help and arguments that argparse refuses.
    """
    args = _parser().parse_args(argv)
    target = str(args.target)
    if "." not in target.strip(".") and ":" not in target.strip(":"):
        raise CommandError(f"TARGET {target!r} names no function: expected module.function or module:RunnerClass")
    if args.count < 1:
        raise CommandError(f"--count {args.count}: at least 1")
    if not 0 < args.timeout <= MAX_TIMEOUT_MANAGED_S:
        raise CommandError(
            f"--timeout {args.timeout:g}: more than 0 and at most {MAX_TIMEOUT_S} seconds, "
            f"or {MAX_TIMEOUT_MANAGED_S} on Managed Instances"
        )
    if args.timeout > MAX_TIMEOUT_S:
        print(
            f"fastlambda: --timeout {args.timeout:g}: over {MAX_TIMEOUT_S} seconds only on Managed Instances",
            file=sys.stderr,
        )
    if args.memory not in MEMORY_MB:
        raise CommandError(f"--memory {args.memory}: {MEMORY_MB[0]} to {MEMORY_MB[-1]} MB")
    client_context = None
    if args.client_context is not None:
        value = _parse("--client-context", args.client_context)
        if not isinstance(value, dict):
            raise CommandError("--client-context: expected a JSON object")
        client_context = json.dumps(value)
    env = read_variables(args.env)
    if args.with_credentials is not None:
        env = _credentials(args.with_credentials) | env
    elif "AWS_PROFILE" in env and not env.keys() & {"HOME", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"}:
        raise CommandError(
            "--env AWS_PROFILE: the function does not see your home, where that profile is; give it the profile's "
            f"credentials with --with-credentials={env['AWS_PROFILE']}"
        )
    event = read_event(args.event, MAX_ASYNCHRONOUS_EVENT if args.invocation_type == "Event" else MAX_EVENT)
    function = Function(target, timeout_s=args.timeout, memory_mb=args.memory, env=env, log=_log)
    try:
        return _invoke_all(function, event, args.count, client_context)
    except BrokenPipeError:
        raise
    except OSError as exc:
        raise CommandError(str(exc)) from exc
    finally:
        function.stop()


# ---- input ---------------------------------------------------------------------------------------------------------


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _parse(what: str, text: str) -> Any:
    try:
        return json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError) as exc:
        raise CommandError(f"{what} is not JSON: {exc}") from None


def read_event(given: str, limit: int = MAX_EVENT) -> bytes:
    """The event, checked.

    Args:
        given: JSON text, @FILE or -.
        limit: most bytes that Lambda takes of it.

    Raises:
        CommandError: it cannot be read, is not JSON, or is larger than Lambda takes.
    """
    if given == "-":
        what, raw = "the event on stdin", sys.stdin.buffer.read()
    elif given.startswith("@"):
        what = f"the event in {given[1:]}"
        try:
            with open(given[1:], "rb") as file:
                raw = file.read()
        except OSError as exc:
            raise CommandError(f"{what} cannot be read: {exc.strerror}") from None
    else:
        what, raw = "EVENT", given.encode("utf-8", "surrogateescape")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        raise CommandError(f"{what} is not UTF-8: {exc}") from None
    if not text.strip():
        raise CommandError(f"{what} is empty; the smallest event is {{}}")
    try:
        _parse(what, text)
    except CommandError as exc:
        hint = " (to read it from that file: @" + given + ")" if os.path.isfile(given) else ""
        raise CommandError(f"{exc}{hint}") from None
    if len(raw) > limit:
        of = " of an asynchronous event" if limit == MAX_ASYNCHRONOUS_EVENT else ""
        raise CommandError(f"{what} has {len(raw)} bytes; Lambda takes {limit}{of} at most")
    return raw


def read_variables(given: Sequence[str]) -> dict[str, str]:
    """The variables of --env, checked.

    Raises:
        CommandError: a name that Lambda would not take, or one without a value that is not set here.
    """
    env = {}
    for item in given:
        name, equals, value = item.partition("=")
        try:
            check_variable(name)
        except ValueError as exc:
            raise CommandError(f"--env {item}: {exc}") from None
        if not equals:
            if name not in os.environ:
                raise CommandError(f"--env {item}: {name} is not set here; give NAME=VALUE")
            value = os.environ[name]
        env[name] = value
    return env


def _credentials(profile: str) -> dict[str, str]:
    """What --with-credentials passes.

    Raises:
        CommandError: there are no such credentials.
    """
    from fastlambda.local.credentials import NoCredentials, variables

    try:
        return variables(profile or None)
    except NoCredentials as exc:
        raise CommandError(f"--with-credentials: {exc}") from None


# ---- output --------------------------------------------------------------------------------------------------------


def _log(data: bytes) -> None:
    """The function's log.  The runtime joins the lines of one entry as CloudWatch wants it; people read lines."""
    text = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace("\N{NO-BREAK SPACE}".encode(), b" ")
    sys.stderr.flush()
    sys.stderr.buffer.write(text)
    sys.stderr.buffer.flush()


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


class _Response:
    """Writes one response to stdout as it arrives, and ends it with a line break where that does no harm."""

    def __init__(self) -> None:
        self._last = b""

    def write(self, chunk: bytes) -> None:
        self._last = chunk
        sys.stdout.buffer.write(chunk)
        sys.stdout.buffer.flush()

    def end(self, content_type: str | None) -> None:
        is_text = (content_type or "").startswith(("application/json", "text/")) or sys.stdout.isatty()
        if self._last and is_text and not self._last.endswith(b"\n"):
            self.write(b"\n")


def _tell_error(report: Report) -> str:
    """An error as a person reads it: type and message, then the stack."""
    error = report.result.error
    kind = error.get("errorType") or report.result.error_type
    lines = [f"{kind}: {error.get('errorMessage', '')}"]
    stack = error.get("stackTrace")
    if isinstance(stack, list) and stack:
        lines.append("Traceback (most recent call last):")
        lines += [str(entry).rstrip("\n") for entry in stack]
    return "\n".join(lines)


def percentile(sorted_values: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` of all values do not exceed (nearest rank)."""
    return sorted_values[max(math.ceil(share * len(sorted_values)) - 1, 0)]


class _Progress:
    """Counts invocations, and tells how far it is, now and then and at the end."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._pace_s = TERMINAL_PACE_S if sys.stderr.isatty() else LOG_PACE_S
        self._begun = self._told = time.monotonic()
        self._durations = array("d")
        self._init_ms: float | None = None
        self.n_failed = 0
        self.max_memory_mb = 0
        self.errors: dict[str, int] = {}

    def add(self, report: Report) -> None:
        self._durations.append(report.duration_ms)
        self.max_memory_mb = max(self.max_memory_mb, report.max_memory_mb)
        if self._init_ms is None:
            self._init_ms = report.init_ms
        now = time.monotonic()
        if self._total > 1 and now - self._told >= self._pace_s:
            self._told = now
            failed = f", {self.n_failed} failed" if self.n_failed else ""
            text = f"{len(self._durations)} of {self._total} invocations{failed}"
            if sys.stderr.isatty():
                sys.stderr.write(f"\r\033[K{text}")
                sys.stderr.flush()
            else:
                _say(text)

    def sum_up(self) -> None:
        if self._total == 1 or not self._durations:
            return
        if sys.stderr.isatty():
            sys.stderr.write("\r\033[K")
        took_s = time.monotonic() - self._begun
        values = sorted(self._durations)
        init = "" if self._init_ms is None else f"Init Duration: {self._init_ms:.2f} ms, "
        _say(
            f"{len(values)} of {self._total} invocations in {took_s:.2f} s, {self.n_failed} failed; {init}Duration: "
            f"p50 {percentile(values, 0.5):.2f} ms, p99 {percentile(values, 0.99):.2f} ms, "
            f"min {values[0]:.2f} ms, max {values[-1]:.2f} ms; Max Memory Used: {self.max_memory_mb} MB"
        )
        for text, n in self.errors.items():
            if n > 1:
                _say(f"{n} times: {text.partition(chr(10))[0]}")


def _invoke_all(function: Function, event: bytes, count: int, client_context: str | None) -> int:
    progress = _Progress(count)
    try:
        for _ in range(count):
            response = _Response()
            report = function.invoke(event, on_chunk=response.write, client_context=client_context)
            result = report.result
            if result.ok:
                response.end(result.content_type)
            else:
                progress.n_failed += 1
                text = _tell_error(report)
                key = text.replace(result.request_id, "...")
                progress.errors[key] = progress.errors.get(key, 0) + 1
                if progress.errors[key] == 1:
                    _say(text)
            if report.exit_reason is not None:
                _say(f"after its answer the function's process ended: {report.exit_reason}")
            if count <= MAX_REPORTS:
                _say(str(report))
            progress.add(report)
    finally:
        progress.sum_up()
    return 1 if progress.n_failed else 0
