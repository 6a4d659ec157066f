"""An ASGI application as a handler.

Owns the application's event loop and lifespan, one of each for the life of the process.  Promises: a response leaves as
the application sends it; what it does afterwards is finished before the next event.  Not called asgi.py: importing
that would put the module in the place of the function.
Source: ASGI 3.0, HTTP and lifespan, spec version 2.4.
"""

import asyncio

from fastlambda.errors import ErrorReport, UsageError, complain
from fastlambda.http.answers import BAD_REQUEST, SERVER_ERROR, check_status, checked, has_body, response_of
from fastlambda.http.events import REST, V2, Request, mount_point, request_of
from fastlambda.http.meant import is_answered, keep_answer
from fastlambda.runner import Loop, interruptible
from fastlambda.streams import HttpStream

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from fastlambda import Context
    from fastlambda._core import Runtime
    from fastlambda.streams import ResponseStream

    App = Callable[[dict[str, Any], Any, Any], Any]

ASGI = {"version": "3.0", "spec_version": "2.4"}
# Background work ends this long before the deadline: its clean-up needs time too.
BACKGROUND_MARGIN_MS = 300
# A cancelled request has this long for its clean-up: the deadline is near.
CANCEL_S = 0.05


def asgi(
    app: "App",
    *,
    stream: bool = False,
    fallback: "Callable[[Any, Context], Any] | None" = None,
    lifespan: str = "auto",
    root_path: "str | None" = None,
) -> "AsgiHandler":
    """Makes a handler of an ASGI application.

    Args:
        app: the application.
        stream: responses go out as the application sends them; for function URLs in RESPONSE_STREAM mode and streamed
            API Gateway integrations.  Events of load balancers and VPC Lattice are answered in one piece all the same.
        fallback: handler(event, context) for events that are not HTTP; may be `async`.
        lifespan: "auto" runs it if the application has one, "on" makes its failure an error, "off" leaves it out.
        root_path: where the application is mounted, when the event does not say it.

    Raises:
        UsageError: an argument has no meaning.
    """
    return AsgiHandler(app, stream, fallback, lifespan, root_path)


class AsgiHandler:
    """handler(event, context) for one application; see asgi()."""

    def __init__(
        self,
        app: "App",
        stream: bool,
        fallback: "Callable[[Any, Context], Any] | None",
        lifespan: str,
        root_path: "str | None",
    ) -> None:
        if not callable(app):
            raise UsageError(f"asgi() needs an ASGI application, not {app!r}")
        if lifespan not in ("auto", "on", "off"):
            raise UsageError(f'lifespan is "auto", "on" or "off", not {lifespan!r}')
        self.app = app
        self.is_streaming = stream
        self.fallback = fallback
        self.root_path = mount_point(root_path)
        self.loop = Loop()
        self.lifespan = None if lifespan == "off" else Lifespan(app, lifespan == "on")

    def fastlambda_start(self, runtime: "Runtime | None" = None) -> None:
        """Runs the application's start-up, once; called by the runtime before the first event is asked for.

        Args:
            runtime: whose guard cancels a request that takes too long; None: the one told before, if any.
        """
        if runtime is not None:
            self.loop.runtime = runtime
        if self.lifespan is not None and not self.lifespan.is_started:
            self.loop.wait(self.lifespan.start())
            if self.lifespan.is_running:
                import atexit

                atexit.register(self.close)

    def close(self) -> None:
        """Runs the application's shut-down and ends the event loop."""
        if self.lifespan is not None and self.lifespan.is_running and self.loop.loop is not None:
            self.loop.wait(self.lifespan.stop())
        self.loop.close()

    def __call__(self, event: "Any", context: "Context") -> "Any":
        self.fastlambda_start()
        request = request_of(event)
        if request is None:
            if self.fallback is None:
                raise UsageError("the event is not HTTP, and asgi() was given no fallback= handler for it")
            return self.loop.wait(self.fallback(event, context))
        request.mount(self.root_path)
        state = self.lifespan.state if self.lifespan is not None and self.lifespan.is_running else None
        kind = StreamedCycle if self.is_streaming and request.source in (V2, REST) else Cycle
        cycle = kind(self.app if request.fault is None else _refuse, request, context, state)
        cycle.runtime = self.loop.runtime
        answer = self.loop.wait(cycle.run())
        keep_answer(answer, cycle.is_meant())
        if cycle.task is not None and not cycle.task.done():
            if context._invocation.channel is None:
                self.loop.wait(cycle.finish())
            else:
                context._invocation.after = lambda: self.loop.wait(cycle.finish())
        return answer


class Lifespan:
    """The application's start-up and shut-down.

    Attributes:
        is_started: start() has been called.
        is_running: the application has said that its start-up is complete.
        state: what it has left in scope["state"].
    """

    def __init__(self, app: "App", is_required: bool) -> None:
        self.app = app
        self.is_required = is_required
        self.is_started = False
        self.is_running = False
        self.state: dict[str, Any] = {}
        self._failure: BaseException | None = None

    async def start(self) -> None:
        self.is_started = True
        self._incoming: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._said = asyncio.Event()
        self._message: dict[str, Any] = {}
        scope = {"type": "lifespan", "asgi": ASGI, "state": self.state}
        self._task = asyncio.get_running_loop().create_task(self._run(scope))
        await self._incoming.put({"type": "lifespan.startup"})
        await self._said.wait()
        kind = self._message.get("type")
        if kind == "lifespan.startup.complete":
            self.is_running = True
        elif kind == "lifespan.startup.failed":
            raise RuntimeError(f"the application's start-up failed: {self._message.get('message', '')}") from (
                self._failure
            )
        elif self.is_required:
            raise RuntimeError("the application has no lifespan, and lifespan='on' needs one") from self._failure

    async def stop(self) -> None:
        self.is_running = False
        self._said.clear()
        await self._incoming.put({"type": "lifespan.shutdown"})
        await self._said.wait()
        if self._message.get("type") == "lifespan.shutdown.failed":
            complain(f"the application's shut-down failed: {self._message.get('message', '')}")

    async def _run(self, scope: "dict[str, Any]") -> None:
        try:
            await self.app(scope, self._incoming.get, self._send)
        except Exception as exc:  # "auto": an application without lifespan may raise whatever it likes
            self._failure = exc
        finally:
            self._said.set()

    async def _send(self, message: "dict[str, Any]") -> None:
        self._message = message
        self._said.set()


class Cycle:
    """One request and its response, which is kept until it is complete.

    Attributes:
        task: the application at work.
        runtime: whose guard interrupts it; None: nobody's.
    """

    runtime: "Runtime | None" = None

    def __init__(self, app: "App", request: Request, context: "Context", state: "dict[str, Any] | None") -> None:
        self.app = app
        self.request = request
        self.context = context
        self.scope = scope_of(request, context)
        if state is not None:
            self.scope["state"] = state.copy()
        self.task: asyncio.Task[Any] | None = None
        self.status = 0
        self.headers: list[tuple[str, str]] = []
        self.is_started = False
        self.is_complete = False
        self._body: list[bytes] = []
        self._is_read = False
        self._over = asyncio.Event()

    async def run(self) -> "Any":
        """Until the response is complete; the application may go on after that."""
        task = self.task = asyncio.get_running_loop().create_task(interruptible(self._call(), self.runtime))
        over = asyncio.ensure_future(self._over.wait())
        try:
            await asyncio.wait({task, over}, return_when=asyncio.FIRST_COMPLETED)
        except BaseException:
            task.cancel()
            await asyncio.wait({task}, timeout=CANCEL_S)
            if task.cancelled():
                task.result()  # raises, and its stack says where the application was
            if not (is_answered() and self.is_complete):
                raise
        finally:
            over.cancel()
        if task.done():
            self._look_at(task)
        return self.answer()

    async def finish(self) -> None:
        """Waits for what the application does after its response, until shortly before the deadline."""
        assert self.task is not None
        left_ms = self.context.get_remaining_time_in_millis() - BACKGROUND_MARGIN_MS
        done, _ = await asyncio.wait({self.task}, timeout=max(left_ms, 0) / 1000 if self.context.deadline else None)
        if not done:
            complain(f"background work of invocation {self.context.aws_request_id} is cancelled: its time is over")
            self.task.cancel()
            await asyncio.wait({self.task}, timeout=BACKGROUND_MARGIN_MS / 2000)
        elif not self.task.cancelled() and (exc := self.task.exception()) is not None:
            self._log(exc)

    async def _call(self) -> None:
        await self.app(self.scope, self._receive, self._send)

    def is_meant(self) -> bool:
        """Whether the response is what the application wants to answer, and not what became of a failure."""
        has_failed = self.task is not None and self.task.done() and (self.task.cancelled() or self.task.exception())
        return self.status != 500 and not has_failed

    def _look_at(self, task: "asyncio.Task[Any]") -> None:
        """The application has ended: its error is logged, or raised when only that can tell the caller."""
        exc = None if task.cancelled() else task.exception()
        if isinstance(exc, Exception):
            self._log(exc)
        elif exc is not None:
            raise exc
        if not self.is_complete:
            if exc is None:
                complain("the application returned before its response was complete")
            self.status, self.headers, body = SERVER_ERROR
            self._body = [body]

    def _log(self, exc: BaseException) -> None:
        ErrorReport(exc, self.context.aws_request_id or "").log()

    def answer(self) -> "Any":
        return response_of(self.request, self.status, self.headers, b"".join(self._body))

    async def _receive(self) -> "dict[str, Any]":
        if not self._is_read:
            self._is_read = True
            return {"type": "http.request", "body": self.request.body, "more_body": False}
        await self._over.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: "dict[str, Any]") -> None:
        kind = message["type"]
        if kind == "http.response.start":
            if self.is_started:
                raise RuntimeError("http.response.start was sent twice")
            status = check_status(message.get("status"))
            self.headers = checked(
                [(_octets(k).decode("latin-1"), _octets(v).decode("latin-1")) for k, v in message.get("headers", ())]
            )
            self.status = status
            self.is_started = True
            self._start()
        elif kind == "http.response.body":
            if not self.is_started or self.is_complete:
                raise RuntimeError("http.response.body was sent before http.response.start, or after its end")
            self._write(_octets(message.get("body", b"")))
            if not message.get("more_body", False):
                self._end()
                self.is_complete = True
                self._over.set()
        else:
            raise RuntimeError(f"an HTTP application cannot send {kind!r}")

    def _start(self) -> None:
        pass

    def _write(self, data: bytes) -> None:
        self._body.append(data)

    def _end(self) -> None:
        pass


class StreamedCycle(Cycle):
    """One request whose response goes out as the application sends it."""

    _stream: "ResponseStream | None" = None
    _failure: "BaseException | None" = None

    def _start(self) -> None:
        self._has_body = has_body(self.request.method, self.status)
        # Together with a body that comes at once; by itself when the application turns to something else first.
        asyncio.get_running_loop().call_soon(self._flush)

    def _open(self) -> "ResponseStream":
        if self._failure is not None:
            raise self._failure
        if self._stream is None:
            self._stream = self.context.response_stream(http=HttpStream(self.status, self.headers))
        return self._stream

    def _flush(self) -> None:
        if not self.is_complete and self._failure is None:
            try:
                self._open().flush()
            except Exception as exc:  # told by the next send()
                self._failure = exc

    def _write(self, data: bytes) -> None:
        if self._has_body and data:
            self._guarded(lambda: self._open().write(data))

    def _end(self) -> None:
        if self.status == 500 and is_answered():
            return  # the application has failed after its answer
        self._guarded(lambda: self._open().close())

    def _guarded(self, act: "Callable[[], object]") -> None:
        try:
            act()
        except OSError:
            # The receiver is gone: the application is told here and by http.disconnect.
            self._over.set()
            raise

    def _look_at(self, task: "asyncio.Task[Any]") -> None:
        exc = None if task.cancelled() else task.exception()
        if self._stream is None and not self.is_complete:
            super()._look_at(task)
            self._has_body = has_body(self.request.method, self.status)
            self._failure = None
            self._write(b"".join(self._body))
            self._end()
        elif not self.is_complete:
            raise exc or RuntimeError("the application returned before its response was complete")
        elif exc is not None:
            self._log(exc)

    def answer(self) -> None:
        return None


def _octets(data: object) -> bytes:
    if not isinstance(data, (bytes, bytearray, memoryview)):
        raise TypeError(f"an ASGI application sends bytes, not {type(data).__name__}")
    return bytes(data)


async def _refuse(scope: "dict[str, Any]", receive: "Any", send: "Any") -> None:
    """The application's answer to what no server would have let through to it."""
    status, headers, body = BAD_REQUEST
    await send(
        {"type": "http.response.start", "status": status, "headers": [(k.encode(), v.encode()) for k, v in headers]}
    )
    await send({"type": "http.response.body", "body": body})


def scope_of(request: Request, context: "Context") -> "dict[str, Any]":
    """The scope of a request; its names `aws.event` and `aws.context` are those that others use too."""
    return {
        "type": "http",
        "asgi": ASGI,
        "http_version": request.http_version,
        "method": request.method,
        "scheme": request.scheme,
        "path": request.path,
        "raw_path": request.raw_path.encode("ascii"),
        "query_string": request.query_string.encode("ascii"),
        "root_path": request.root_path,
        "headers": [(k.encode("ascii"), v.encode("utf-8")) for k, v in request.headers],
        "client": (request.client, request.client_port) if request.client else None,
        "server": (request.host, request.port),
        "extensions": {},
        "aws.event": request.event,
        "aws.context": context,
    }
