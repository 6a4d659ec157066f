"""Runs one batch under one client, and names the differences between two runs.

Owns the child processes and the normal form of what they did.  A batch is one process: its events are served in
order, and what each caused (requests, log bytes) is kept apart by the sizes of the log files at the next poll.
"""

import decimal
import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from .endpoint import Endpoint, Event

AWS = "awslambdaric"
OURS = "fastlambda"
END = "end-of-batch"
APPS = Path(__file__).parent / "apps"

ENVIRONMENT = {
    "AWS_LAMBDA_FUNCTION_NAME": "f",
    "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256",
    "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/f",
    "AWS_LAMBDA_LOG_STREAM_NAME": "2026/01/02/[$LATEST]abc",
    "AWS_REGION": "eu-west-1",
    "LANG": "C.UTF-8",
}


@dataclass
class Batch:
    """What one process does.

    Args:
        name: first part of the name of every case in it.
        app: file in `apps/` (all of them are put into the task directory).
        events: the invocations; the request id of each is the name of its case.
        handler: target string; by default the function `handler` of the app.
        env: environment variables added to the usual ones; None removes one.
        telemetry: True gives the process a telemetry file descriptor.
        ends_itself: the process ends without the last event that ends the others.
    """

    name: str
    app: str
    events: list[Event] = field(default_factory=list)
    handler: str = ""
    env: dict[str, str | None] = field(default_factory=dict)
    telemetry: bool = False
    ends_itself: bool = False
    statuses: dict[str, int] = field(default_factory=dict)
    args: list[str] | None = None

    def cases(self) -> list[str]:
        names = [event.request_id for event in self.events if event.request_id != END]
        return [f"{self.name}/{name}" for name in ["init", *names]]


def environment(batch: Batch, address: str) -> dict[str, str]:
    env: dict[str, str | None] = {"PATH": os.environ.get("PATH", ""), "HOME": "/tmp", **ENVIRONMENT}
    env["AWS_LAMBDA_RUNTIME_API"] = address
    env.update(batch.env)
    return {name: value for name, value in env.items() if value is not None}


def observe(client: str, batch: Batch, task_dir: Path, logs: Path) -> dict[str, dict[str, object]]:
    """Runs the batch; returns, for each case, what could be seen of it, in a form that can be compared."""
    events = list(batch.events)
    if not batch.ends_itself:
        events.append(Event(END))
    marks: list[tuple[int, ...]] = []
    streams = [logs / f"{client}-{stream}" for stream in ("stdout", "stderr", "telemetry")]
    files = [open(path, "wb") for path in streams]  # noqa: SIM115  closed below, with the process
    sizes = lambda: tuple(path.stat().st_size for path in streams)  # noqa: E731
    with Endpoint(events, batch.statuses, on_next=lambda position: marks.append(sizes())) as endpoint:
        env = environment(batch, endpoint.address)
        pass_fds = ()
        if batch.telemetry:
            env["_LAMBDA_TELEMETRY_LOG_FD"] = str(files[2].fileno())
            pass_fds = (files[2].fileno(),)
        args = [batch.handler or f"{batch.app}.handler"] if batch.args is None else batch.args
        process = subprocess.Popen(
            [sys.executable, "-m", client, *args],
            cwd=task_dir,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=files[0],
            stderr=files[1],
            pass_fds=pass_fds,
        )
        try:
            exit_code = process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            exit_code = "never"
    for file in files:
        file.close()
    texts = [path.read_bytes() for path in streams]
    marks.append(tuple(len(text) for text in texts))
    names = ["init", *(event.request_id for event in events)]
    seen: dict[str, dict[str, object]] = {}
    for position, name in enumerate(names):
        if name == END:
            continue
        requests = [r for r in endpoint.requests if r.answered == position and not r.path.endswith("/next")]
        if position == 0:
            requests = [r for r in endpoint.requests if r.answered == 0]
        case: dict[str, object] = {"requests": [f"{r.method} {r.path}" for r in requests]}
        for r in requests:
            case.update(report(r))
        before = marks[position - 1] if 0 < position <= len(marks) else (0, 0, 0)
        after = marks[position] if position < len(marks) else marks[-1]
        parts = [text[a:b] for text, a, b in zip(texts, before, after, strict=True)]
        case["stdout"], case["stderr"] = plain(parts[0]), plain(parts[1])
        case["telemetry"] = frames(parts[2])
        seen[f"{batch.name}/{name}"] = case
    if batch.ends_itself:
        seen[batch.cases()[-1]]["exit"] = exit_code
    return seen


def report(request) -> dict[str, object]:
    """The parts of one posted report: headers that the platform reads, the body's bytes, the body's meaning."""
    cause = request.header("Lambda-Runtime-Function-XRay-Error-Cause")
    return {
        "content-type": request.header("Content-Type"),
        "invocation-id": request.header("Lambda-Runtime-Invocation-Id"),
        "error-type-header": request.header("Lambda-Runtime-Function-Error-Type"),
        "mode-header": request.header("Lambda-Runtime-Function-Response-Mode"),
        "cause": cause and cause_meaning(cause),
        "body-bytes": plain(request.body),
        "body": meaning(request.body),
    }


def meaning(body: bytes) -> object:
    """JSON with exact numbers, order and repeated keys kept; bytes that are no JSON stay as they are."""
    try:
        text = plain(body).encode("utf-8", "surrogateescape").decode("utf-8")
        return json.loads(
            text,
            parse_int=lambda text: ("int", int(text)),
            parse_float=lambda text: ("float", str(decimal.Decimal(text).normalize())),
            parse_constant=lambda text: ("constant", text),
            object_pairs_hook=lambda pairs: ("object", pairs),
        )
    except ValueError:
        return ("not JSON", body)


def cause_meaning(header: str) -> object:
    try:
        cause = json.loads(header.encode("latin-1").decode("utf-8"))
    except ValueError:
        return ("not JSON", header)
    cause["paths"] = sorted(cause["paths"])
    return cause


def plain(text: bytes) -> str:
    """Log bytes with the parts that no two runs share replaced: times, addresses of objects, process ids."""
    result = text.decode("utf-8", "surrogateescape")
    result = re.sub(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3})?Z", "<time>", result)
    result = re.sub(r"\[\d{13}\]", "[<ms>]", result)
    return re.sub(r"0x[0-9a-f]{6,}", "<address>", result)


def frames(data: bytes) -> list[tuple[str, str]]:
    """Telemetry frames as (type in hex, text); what does not parse is kept as one frame of type "broken"."""
    found = []
    while data:
        size = int.from_bytes(data[4:8], "big")
        stamp = int.from_bytes(data[8:16], "big")
        if len(data) < 16 + size or not 1.6e15 < stamp < 5e15:
            return [*found, ("broken", plain(data))]
        found.append((data[:4].hex(), plain(data[16 : 16 + size])))
        data = data[16 + size :]
    return found


def differences(aws: dict[str, object], ours: dict[str, object]) -> dict[str, tuple[object, object]]:
    """The fields in which two observations of one case differ.

    `body-bytes` only counts where the meaning is equal: else one cause would be named twice.
    """
    found = {name: (aws.get(name), ours.get(name)) for name in {*aws, *ours} if aws.get(name) != ours.get(name)}
    if "body" in found:
        found.pop("body-bytes", None)
    return found
