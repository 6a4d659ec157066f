"""A Runtime API endpoint inside this process: h11 on plain sockets, one thread per connection.

Owns the sockets, the framing and the one invocation in flight.  Promises: requests of one connection are served
strictly one after the other; answers as AWS's classic server gives them; loopback unless told otherwise.  Must not know
how the function's process is started or ended: its owner says so by process_exited().
Source: Runtime API version 2018-06-01; the rules are in machine.py.

Other than AWS's server on purpose: an error body over the limit is answered with 413 (the server drops the connection
and is stuck), and a streamed result is taken as fast as it comes.
"""

import base64
import binascii
import contextlib
import json
import re
import socket
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from email.utils import formatdate
from types import TracebackType
from typing import Any, Literal, Self

import h11

from fastlambda.local.admission import (
    BODY_S,
    FIRST_BYTE_S,
    HEAD_S,
    MAX_CONNECTIONS,
    MAX_REFUSED_BODY,
    SEND_S,
    refusal,
)
from fastlambda.local.machine import (
    ACCEPTED,
    BAD_REQUEST,
    BROKEN,
    HEAD_TOO_LARGE,
    MAX_HEAD,
    MAX_PLAIN_EVENT,
    MAX_RESPONSE,
    PONG,
    TOO_SLOW,
    TRUNCATED,
    Answer,
    Call,
    Machine,
    State,
    recorded_error_type,
    route,
    too_large,
)

DEFAULT_ARN = "arn:aws:lambda:us-east-1:012345678912:function:function"
DEFAULT_TIMEOUT_S = 300.0
# How long invoke() waits for a process to ask for its event.
DEFAULT_INIT_TIMEOUT_S = 60.0
# A streaming caller that does not read stops the function's writes once this much waits for it.
STREAM_WINDOW = 1024 * 1024
MAX_STREAM = 200 * 1024 * 1024
_RECV = 256 * 1024
# Seconds for the last answer of a connection that is closed.
LINGER_S = 2.0

Kind = Literal[
    "response", "error", "init_error", "restore_error", "timeout", "exit", "oversized", "truncated", "invalid_mode"
]


@dataclass
class Result:
    """How one invocation ended.

    Attributes:
        request_id: of the invocation.
        kind: who ended it and how; only "response" is a success, and only without stream_error.
        body: what the caller gets: the result, or an error document.
        content_type: of the result; None when the function sent none.
        error_type: the name under which the server records the error; None after a success.
        headers: of the function's POST, names in lower case.
        streamed: the function sent its result as a stream.
        stream_error: the error document from the trailers of a stream that failed in its middle.
        handed_out_ns: monotonic time at which the function got the event; 0 when it never did.
        answered_ns: monotonic time at which the outcome was known.
    """

    request_id: str
    kind: Kind
    body: bytes = b""
    content_type: str | None = None
    error_type: str | None = None
    headers: dict[str, str] = field(default_factory=dict)
    streamed: bool = False
    stream_error: bytes | None = None
    handed_out_ns: int = 0
    answered_ns: int = 0

    @property
    def ok(self) -> bool:
        """True when the function answered with a result."""
        return self.error_type is None

    @property
    def http_status(self) -> int:
        """What an Invoke call is answered with: 200 for results and handled errors, 502 when the process failed."""
        return 502 if self.kind in ("exit", "init_error", "restore_error") else 200

    @property
    def duration_s(self) -> float:
        """Seconds from handing out the event to the outcome."""
        return (self.answered_ns - self.handed_out_ns) / 1e9 if self.handed_out_ns else 0.0

    @property
    def error(self) -> dict[str, Any]:
        """The error document, {} after a success.  A body that is no JSON object is told as errorMessage."""
        if self.ok:
            return {}
        body = self.body if self.stream_error is None else self.stream_error
        try:
            document = json.loads(body)
        except ValueError:
            document = None
        if isinstance(document, dict):
            return document
        return {"errorType": self.error_type, "errorMessage": body.decode(errors="replace")}

    def json(self) -> Any:
        """The result, decoded.

        Raises:
            ValueError: it is not JSON.
        """
        return json.loads(self.body)


class Pending:
    """An invocation that was given to the endpoint.

    Attributes:
        request_id: its id.
        event: the body, as it goes to the function.
    """

    def __init__(
        self,
        api: "RuntimeApi",
        request_id: str,
        event: bytes,
        headers: list[tuple[str, str]],
        deadline_ms: int | None,
        timeout_s: float,
        elapsed_s: float,
        invocation_id: str | None,
        streaming: bool,
    ) -> None:
        self._api = api
        self.request_id = request_id
        self.event = event
        self.invocation_id = invocation_id
        self.headers = headers
        self.deadline_ms = deadline_ms
        self.timeout_s = timeout_s
        self.left_s = max(timeout_s - elapsed_s, 0.0)
        self.streaming = streaming
        self.handed_out_ns = 0
        self.chunks_waiting: deque[bytes] = deque()
        self.n_waiting = 0
        self.result: Result | None = None
        self.is_over = False

    def _wait(self, until: Callable[[], bool], init_timeout_s: float) -> bool:
        """Waits for `until`, to be called with the lock held.  False: the invocation's time is over."""
        cond = self._api._cond
        give_up = time.monotonic() + init_timeout_s
        while not until():
            if self.handed_out_ns:
                left = self.handed_out_ns / 1e9 + self.left_s - time.monotonic()
                if left <= 0:
                    return False
            else:
                left = give_up - time.monotonic()
                if left <= 0:
                    self._api._forget(self)
                    raise TimeoutError(f"no function asked {self._api.address} for an event within {init_timeout_s} s")
            cond.wait(min(left, threading.TIMEOUT_MAX))
        return True

    def answer(self, init_timeout_s: float = DEFAULT_INIT_TIMEOUT_S) -> Result:
        """Waits until the function has answered, has failed, or its time is over.

        Args:
            init_timeout_s: how long to wait for a process to ask for the event.

        Raises:
            TimeoutError: no process asked for it; the invocation is taken back.
        """
        with self._api._cond:
            while not self._wait(lambda: self.result is not None or bool(self.chunks_waiting), init_timeout_s):
                self._api._time_out(self)
            if self.result is None or self.chunks_waiting:
                # A stream that nobody reads by chunks(): collect it here.
                collected: list[bytes] = []
                while self.result is None or self.chunks_waiting:
                    if self.chunks_waiting:
                        collected.append(self._take())
                    elif not self._wait(lambda: self.result is not None or bool(self.chunks_waiting), init_timeout_s):
                        self._api._time_out(self)
                if self.result.kind == "response":
                    self.result.body = b"".join(collected) + self.result.body
            assert self.result is not None
            return self.result

    def chunks(self, init_timeout_s: float = DEFAULT_INIT_TIMEOUT_S) -> Iterator[bytes]:
        """The result as it arrives; a result that is not streamed comes in one piece, an error not at all.

        Only for invocations that were submitted with streaming=True; answer() then tells the outcome without a body.
        """
        if not self.streaming:
            raise ValueError("chunks() needs an invocation that was submitted with streaming=True")
        while True:
            with self._api._cond:
                while not self._wait(lambda: self.result is not None or bool(self.chunks_waiting), init_timeout_s):
                    self._api._time_out(self)
                if not self.chunks_waiting:
                    return
                chunk = self._take()
            yield chunk

    def finished(self) -> bool:
        """Waits until the invocation is over: the process has asked for the next event, or has ended.

        Returns:
            False when the invocation's time was over first.
        """
        with self._api._cond:
            return self._wait(lambda: self.is_over, DEFAULT_INIT_TIMEOUT_S)

    def _take(self) -> bytes:
        chunk = self.chunks_waiting.popleft()
        self.n_waiting -= len(chunk)
        self._api._cond.notify_all()
        return chunk


class _Connection:
    """One accepted connection and the process it belongs to."""

    def __init__(self, sock: socket.socket, generation: int) -> None:
        self.sock = sock
        self.generation = generation
        self.is_parked = False
        self.http = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD)
        # Bytes received since the last complete message: only a large head is worth measuring exactly.
        self.n_since_message = 0
        self.n_requests = 0
        self.opened_ns = time.monotonic_ns()
        # Monotonic time up to which what is being read must have come; 0: no limit.
        self.read_by = 0.0

    def receive(self) -> bytes:
        """What comes next.

        Raises:
            _TooSlow: it did not come in time.
        """
        now = time.monotonic()
        read_by = self.read_by
        if not self.n_requests and not self.n_since_message:
            read_by = now + FIRST_BYTE_S
        if 0 < read_by <= now:
            raise _TooSlow
        self.sock.settimeout(read_by - now if read_by else None)
        try:
            return self.sock.recv(_RECV)
        except TimeoutError:
            raise _TooSlow from None

    def send(self, data: bytes) -> None:
        """Sends all of it; a peer that does not take it in time loses the connection."""
        self.sock.settimeout(SEND_S)
        self.sock.sendall(data)

    def is_gone(self) -> bool:
        """The peer has closed, as far as can be seen without waiting."""
        try:
            self.sock.setblocking(False)  # with a time-out set, Python would wait before it asks
            return self.sock.recv(1, socket.MSG_PEEK) == b""
        except BlockingIOError:
            return False
        except OSError:
            return True

    def shut(self) -> None:
        """Wakes the connection's thread, which then closes it."""
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_RDWR)


class _Dropped(Exception):
    """The connection is over: closed by the peer, or its process is no longer the present one."""


class _TooSlow(Exception):
    """What was to be read did not come in time."""


class RuntimeApi:
    """A Runtime API endpoint for one function process at a time.

    Listens from the start; close() or the end of a `with` block ends it.

    Args:
        host: address to listen on; loopback unless told otherwise.
        port: 0 takes a free one.
        snapstart: has the restore paths.
        invoked_function_arn: sent with each event unless invoke() is told another.
        max_response: bytes of a buffered result.
        hosts: further names by which requests may call the endpoint (Host), beside its address; a container's name for
            the machine it runs on, say.

    Attributes:
        address: host:port, for AWS_LAMBDA_RUNTIME_API.
        user_agent: first word of the User-Agent of the last poll; "" before.
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        snapstart: bool = False,
        invoked_function_arn: str = DEFAULT_ARN,
        max_response: int = MAX_RESPONSE,
        hosts: Iterable[str] = (),
    ) -> None:
        self._hosts = frozenset(host.lower() for host in hosts)
        self._snapstart = snapstart
        self._arn = invoked_function_arn
        self._max_response = max_response
        self._cond = threading.Condition(threading.Lock())
        self._machine = Machine()
        # Counts processes: what belongs to an earlier one is dropped.
        self._generation = 0
        self._queue: deque[Pending] = deque()
        self._current: Pending | None = None
        self._init_error: Result | None = None
        self._connections: set[_Connection] = set()
        self._probes: dict[tuple[str, int], threading.Event] = {}
        self._is_closed = False
        self.user_agent = ""
        self._listener = socket.create_server((host, port), backlog=128)
        bound = self._listener.getsockname()
        self.address = f"{bound[0]}:{bound[1]}"
        self._bound: tuple[str, int] = (bound[0], bound[1])
        self._acceptor = threading.Thread(target=self._accept, name="runtime-api", daemon=True)
        self._acceptor.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    # ---- the caller's side ----------------------------------------------------------------------------------------

    def submit(
        self,
        event: bytes,
        *,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        deadline_ms: int | None = None,
        request_id: str | None = None,
        content_type: str | None = "application/json",
        trace_id: str | None = None,
        client_context: str | None = None,
        identity: str | None = None,
        tenant_id: str | None = None,
        invocation_id: str | None = None,
        invoked_function_arn: str | None = None,
        streaming: bool = False,
        elapsed_s: float = 0.0,
    ) -> Pending:
        """Gives an event to the function; the process gets it with its next poll.

        Args:
            event: body, as it goes to the function.
            timeout_s: seconds that the function has from getting the event.
            deadline_ms: Unix milliseconds for the deadline header; None derives it from timeout_s.
            request_id: None makes one.
            content_type: of the event; None leaves the header out.
            trace_id: for X-Ray.
            client_context: JSON text.
            identity: JSON text of the Cognito identity.
            tenant_id: of a function that isolates tenants.
            invocation_id: one per attempt, to be echoed.
            invoked_function_arn: None takes the endpoint's.
            streaming: the caller takes the result as it comes; chunks() gives it, and writes wait for the reader.
            elapsed_s: seconds of timeout_s that are used up already, by an init that had to be repeated.

        Raises:
            ValueError: a header value has a character that a header cannot have.
        """
        request_id = str(uuid.uuid4()) if request_id is None else request_id
        named = {
            "Content-Type": content_type,
            "Lambda-Runtime-Aws-Request-Id": request_id,
            "Lambda-Runtime-Aws-Tenant-Id": tenant_id,
            "Lambda-Runtime-Client-Context": client_context,
            "Lambda-Runtime-Cognito-Identity": identity,
            # The deadline comes here, when the event is handed out.
            "Lambda-Runtime-Deadline-Ms": "",
            "Lambda-Runtime-Invocation-Id": invocation_id,
            "Lambda-Runtime-Invoked-Function-Arn": self._arn if invoked_function_arn is None else invoked_function_arn,
            "Lambda-Runtime-Trace-Id": trace_id,
        }
        headers = [(name, value) for name, value in named.items() if value is not None]
        for name, value in headers:
            if _UNFIT.search(value):
                raise ValueError(f"{name} has a character that a header cannot have: {value[:64]!r}")
        pending = Pending(self, request_id, event, headers, deadline_ms, timeout_s, elapsed_s, invocation_id, streaming)
        with self._cond:
            if self._is_closed:
                raise ValueError("the endpoint is closed")
            if self._init_error is not None:
                self._finish(pending, self._init_error)
            else:
                self._queue.append(pending)
                self._cond.notify_all()
        return pending

    def invoke(self, event: bytes, *, init_timeout_s: float = DEFAULT_INIT_TIMEOUT_S, **more: Any) -> Result:
        """Gives an event to the function and waits for the outcome.

        Args:
            event: body, as it goes to the function.
            init_timeout_s: how long to wait for a process to ask for it.
            more: see submit().

        Raises:
            TimeoutError: no process asked for the event.
        """
        return self.submit(event, **more).answer(init_timeout_s)

    @property
    def state(self) -> State:
        """Where the function's process is."""
        with self._cond:
            return self._machine.state

    @property
    def generation(self) -> int:
        """Counts the processes: it grows when one has ended or has run out of time."""
        with self._cond:
            return self._generation

    def wait_state(
        self, *states: State, timeout_s: float = DEFAULT_INIT_TIMEOUT_S, generation: int | None = None
    ) -> State:
        """Waits until the process is in one of `states`, or has ended.

        Args:
            states: any of them will do.
            timeout_s: seconds.
            generation: of the process that is meant; None means the present one.

        Raises:
            TimeoutError: it did not get there in time.
            ChildProcessError: it has ended.
        """
        with self._cond:
            if generation is None:
                generation = self._generation
            there = self._cond.wait_for(
                lambda: self._machine.state in states or self._generation != generation, timeout_s
            )
            if self._generation != generation:
                raise ChildProcessError("the function's process ended")
            if not there:
                raise TimeoutError(f"the function is still {self._machine.state} after {timeout_s} s")
            return self._machine.state

    def restore(self) -> None:
        """Answers the waiting `restore/next`: the snapshot is taken and restored.

        Raises:
            ValueError: the process does not wait for it.
        """
        with self._cond:
            if self._machine.state is not State.RESTORE_READY:
                raise ValueError(f"nothing to restore: the function is {self._machine.state}")
            self._machine.restore()
            self._cond.notify_all()

    @property
    def init_error(self) -> Result | None:
        """What the process posted to init/error or restore/error."""
        with self._cond:
            return self._init_error

    def process_exited(self, reason: str = "Runtime exited without providing a reason") -> None:
        """The function's process has ended; the next one starts afresh.

        What it had written before is read first.  An invocation that it left unanswered fails with Runtime.ExitError.
        An init error that it posted is what callers get until another process asks for an event, or reset().

        Args:
            reason: as the server tells it, e.g. "Runtime exited with error: exit status 1".
        """
        self._drain()
        with self._cond:
            if (pending := self._current) is not None and pending.result is None:
                self._fail(pending, "exit", "Runtime.ExitError", reason)
            self._renew()

    def reset(self) -> None:
        """Forgets the process: its connections, its state and its init error."""
        with self._cond:
            self._init_error = None
            self._renew()

    def fail_queued(self, message: str, kind: Kind = "exit", error_type: str = "Runtime.ExitError") -> None:
        """Fails every invocation that no process has got.

        Args:
            message: for the error document, without the request id.
            kind: of the results.
            error_type: of the error documents.
        """
        with self._cond:
            while self._queue:
                self._fail(self._queue[0], kind, error_type, message)

    def close(self) -> None:
        """Ends the endpoint and all its connections; waiting callers get Runtime.ExitError.  May be called twice."""
        with self._cond:
            if self._is_closed:
                return
            self._is_closed = True
            if self._current is not None and self._current.result is None:
                self._fail(self._current, "exit", "Runtime.ExitError", "the endpoint was closed")
            while self._queue:
                self._fail(self._queue[0], "exit", "Runtime.ExitError", "the endpoint was closed")
            self._renew()
        # Closing alone does not wake a thread in accept(); shutting down does on Linux, a connection does elsewhere.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        with contextlib.suppress(OSError):
            socket.create_connection(self._bound, timeout=1).close()
        self._acceptor.join(5)
        self._listener.close()
        with self._cond:
            self._cond.wait_for(lambda: not self._connections, 5)

    # ---- outcomes; the lock is held -------------------------------------------------------------------------------

    def _finish(self, pending: Pending, result: Result) -> None:
        if pending.result is None:
            pending.result = replace(
                result,
                request_id=pending.request_id,
                handed_out_ns=pending.handed_out_ns,
                answered_ns=time.monotonic_ns(),
            )
            if pending in self._queue:
                self._queue.remove(pending)
            if pending is not self._current:
                pending.is_over = True
        self._cond.notify_all()

    def _fail(self, pending: Pending, kind: Kind, error_type: str, message: str) -> None:
        """Ends an invocation with an error of the server's own."""
        document = {"errorType": error_type, "errorMessage": f"RequestId: {pending.request_id} Error: {message}"}
        body = json.dumps(document, separators=(",", ":")).encode()
        self._finish(pending, Result(pending.request_id, kind, body, "application/json", error_type))

    def _time_out(self, pending: Pending) -> None:
        """The deadline: the caller is told, and the process is no longer listened to; its owner ends it."""
        if pending.result is None:
            self._fail(pending, "timeout", "Sandbox.Timeout", f"Task timed out after {pending.timeout_s:.2f} seconds")
            self._renew()

    def _forget(self, pending: Pending) -> None:
        if pending in self._queue:
            self._queue.remove(pending)

    def _renew(self) -> None:
        """From now on a new process is spoken to; the old one's connections are closed."""
        self._generation += 1
        self._machine = Machine()
        if self._current is not None:
            self._current.is_over = True
            self._current = None
        for connection in self._connections:
            connection.shut()
        self._cond.notify_all()

    def _drain(self) -> None:
        """Reads what the ended process had sent: waits for its connections to come to their end."""
        # Connections are accepted in order, so ours comes after all of the process's.
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind((self._bound[0], 0))
            seen = threading.Event()
            self._probes[probe.getsockname()[:2]] = seen
            probe.connect(self._bound)
            seen.wait(5)
        with self._cond:
            generation = self._generation
            self._cond.wait_for(
                lambda: all(c.is_parked or c.generation != generation for c in self._connections),
                # The process is gone, so this is quick; a child of its own may hold the sockets open for ever.
                timeout=1,
            )

    # ---- the function's side --------------------------------------------------------------------------------------

    def _accept(self) -> None:
        while True:
            try:
                sock, peer = self._listener.accept()
            except OSError:
                return
            if (seen := self._probes.pop(peer[:2], None)) is not None:
                seen.set()
                sock.close()
                continue
            with self._cond:
                if self._is_closed:
                    sock.close()
                    return
                if not self._make_room():
                    sock.close()
                    continue
                connection = _Connection(sock, self._generation)
                self._connections.add(connection)
            threading.Thread(target=self._serve, args=(connection,), name="runtime-api-peer", daemon=True).start()

    def _make_room(self) -> bool:
        """Whether one more connection may come; the one that has waited longest without a request gives way to it."""
        if len(self._connections) < MAX_CONNECTIONS:
            return True
        silent = [connection for connection in self._connections if not connection.n_requests]
        if not silent:
            return False
        min(silent, key=lambda connection: connection.opened_ns).shut()
        return self._cond.wait_for(lambda: len(self._connections) < MAX_CONNECTIONS, 1)

    def _serve(self, connection: _Connection) -> None:
        connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            while self._serve_one(connection):
                connection.http.start_next_cycle()
        except (_Dropped, OSError):
            pass
        finally:
            with self._cond:
                self._connections.discard(connection)
                self._cond.notify_all()
            connection.sock.close()

    def _event(self, connection: _Connection) -> h11.Event:
        """The next event of the connection's requests.

        Raises:
            h11.RemoteProtocolError: what came is no HTTP.
            _Dropped: the connection is over.
        """
        while True:
            event = connection.http.next_event()
            if event is h11.NEED_DATA:
                if connection.http.they_are_waiting_for_100_continue:
                    informational = h11.InformationalResponse(status_code=100, headers=[], reason=b"Continue")
                    connection.send(connection.http.send(informational) or b"")
                data = connection.receive()
                if not connection.n_since_message and not connection.read_by:
                    connection.read_by = time.monotonic() + HEAD_S
                connection.n_since_message += len(data)
                connection.http.receive_data(data)
                continue
            if isinstance(event, h11.ConnectionClosed):
                raise _Dropped
            assert not isinstance(event, type), event
            return event

    def _serve_one(self, connection: _Connection) -> bool:
        """Reads one request and answers it.  False: the connection is to be closed."""
        try:
            if connection.http.trailing_data[0]:  # the head has begun with what came behind the last request
                connection.read_by = time.monotonic() + HEAD_S
            request = self._event(connection)
            assert isinstance(request, h11.Request)
            connection.n_requests += 1
            connection.read_by = time.monotonic() + BODY_S
            if (refused := refusal(_headers(request), self._bound, self._hosts)) is not None:
                return self._close_with(connection, refused)
            if connection.n_since_message > MAX_HEAD and _head_len(request) > MAX_HEAD:
                return self._close_with(connection, HEAD_TOO_LARGE)
            answer = self._dispatch(connection, request)
        except h11.RemoteProtocolError as exc:
            return self._close_with(connection, HEAD_TOO_LARGE if exc.error_status_hint == 431 else BAD_REQUEST)
        except _TooSlow:
            return self._close_with(connection, TOO_SLOW)
        connection.read_by = 0.0
        if answer is not None:
            self._send(connection, answer)
        return connection.http.our_state is h11.DONE and connection.http.their_state is h11.DONE

    def _read_rest(self, connection: _Connection) -> bytes:
        """Reads the body of a request to its end and forgets it."""
        n_read = 0
        while not isinstance(event := self._event(connection), h11.EndOfMessage):
            assert isinstance(event, h11.Data)
            n_read += len(event.data)
            if n_read > MAX_REFUSED_BODY:
                raise _Dropped
        connection.n_since_message = 0
        return b""

    def _dispatch(self, connection: _Connection, request: h11.Request) -> Answer | None:
        """Does what the request asks for.  None: it has been answered already."""
        found = route(request.method.decode(), request.target.decode(), has_snapstart=self._snapstart)
        if isinstance(found, Answer):
            self._read_rest(connection)
            return found
        call, request_id = found
        if call in (Call.RESPONSE, Call.ERROR):
            return self._answered(connection, request, call, request_id)
        if call in (Call.INIT_ERROR, Call.RESTORE_ERROR):
            return self._init_failed(connection, request, call)
        self._read_rest(connection)
        if call is Call.NEXT:
            return self._next(connection, request)
        if call is Call.RESTORE_NEXT:
            return self._restore_next(connection)
        return PONG

    def _is_stale(self, connection: _Connection) -> bool:
        return connection.generation != self._generation

    def _next(self, connection: _Connection, request: h11.Request) -> Answer | None:
        """Waits for an event and hands it out."""
        agent = next((v for n, v in request.headers if n == b"user-agent"), b"")
        with self._cond:
            if self._is_stale(connection):
                return BROKEN
            machine = self._machine
            if machine.state is State.READY and all(c.is_gone() for c in self._connections if c.is_parked):
                machine.poll_lost()
            if (refused := machine.next()) is not None:
                return refused
            self._init_error = None
            self.user_agent = agent.decode("latin-1").partition(" ")[0][:128]
            if machine.state is State.READY:
                if self._current is not None:
                    self._current.is_over = True
                    self._current = None
                self._cond.notify_all()
                connection.is_parked = True
                try:
                    # No time limit: a process may rightly wait for hours.
                    while not self._queue:
                        self._cond.wait()
                        if self._is_stale(connection):
                            raise _Dropped
                        if machine.state is not State.READY:
                            raise _Dropped  # a poll that came after this one's peer had gone took its place
                    if connection.is_gone():
                        raise _Dropped  # the event waits for the poll that comes
                finally:
                    connection.is_parked = False
                pending = self._current = self._queue.popleft()
                machine.hand_out(pending.request_id, pending.invocation_id)
                pending.handed_out_ns = time.monotonic_ns()
                deadline_ms = pending.deadline_ms
                if deadline_ms is None:
                    deadline_ms = int((time.time() + pending.left_s) * 1000)
                pending.headers = [
                    (name, str(deadline_ms) if name == "Lambda-Runtime-Deadline-Ms" else value)
                    for name, value in pending.headers
                ]
                self._cond.notify_all()
            else:
                assert self._current is not None
                pending = self._current
        self._send(
            connection,
            Answer(200, pending.event, tuple(pending.headers)),
            chunked=len(pending.event) > MAX_PLAIN_EVENT,
        )
        return None

    def _restore_next(self, connection: _Connection) -> Answer:
        with self._cond:
            if self._is_stale(connection):
                return BROKEN
            machine = self._machine
            if (refused := machine.restore_next()) is not None:
                return refused
            self._cond.notify_all()
            connection.is_parked = True
            try:
                while machine.state is State.RESTORE_READY:
                    self._cond.wait()
                    if self._is_stale(connection):
                        raise _Dropped
            finally:
                connection.is_parked = False
        return Answer(200)

    def _answered(self, connection: _Connection, request: h11.Request, call: Call, request_id: str) -> Answer:
        """A result or an error of the invocation."""
        headers = _headers(request)
        mode = headers.get("lambda-runtime-function-response-mode")
        with self._cond:
            machine, pending = self._machine, self._current
            if self._is_stale(connection):
                refused: Answer | None = BROKEN
            else:
                refused = machine.post(
                    call, request_id, mode=mode, invocation_id=headers.get("lambda-runtime-invocation-id")
                )
            if machine.state is State.INVOCATION_RESPONSE and refused is not None and pending is not None:
                message = f"Invalid response mode: {mode}"
                self._fail(pending, "invalid_mode", "Runtime.InvalidResponseModeHeader", message)
        if refused is not None:
            self._read_rest(connection)
            return refused
        assert pending is not None
        connection.read_by = 0.0  # the invocation's deadline is the limit
        result = Result(request_id, "response", content_type=headers.get("content-type"), headers=headers)
        if call is Call.ERROR:
            result.kind = "error"
            result.error_type = recorded_error_type(headers.get("lambda-runtime-function-error-type"))
        result.streamed = call is Call.RESPONSE and mode is not None
        limit = MAX_STREAM if result.streamed and pending.streaming else self._max_response
        is_handed_on = pending.streaming and result.streamed
        parts: list[bytes] = []
        n_read = 0
        try:
            while not isinstance(event := self._event(connection), h11.EndOfMessage):
                assert isinstance(event, h11.Data)
                n_read += len(event.data)
                if n_read > limit:
                    parts.clear()
                elif is_handed_on:
                    self._hand_on(connection, pending, bytes(event.data))
                else:
                    parts.append(bytes(event.data))
        except (_Dropped, h11.RemoteProtocolError, OSError):
            with self._cond:
                if not self._is_stale(connection):
                    machine.posted()
                    self._fail(pending, "truncated", "Runtime.TruncatedResponse", "the response was cut short")
            if connection.http.our_state is h11.SEND_RESPONSE:
                self._close_with(connection, TRUNCATED)
            raise _Dropped from None
        connection.n_since_message = 0
        with self._cond:
            if self._is_stale(connection):
                return BROKEN
            if n_read > limit:
                if call is Call.ERROR:
                    machine.unpost()
                    return Answer(413, too_large(limit).body, too_large(limit).headers, close=True)
                machine.posted()
                message = f"Response payload size exceeded maximum allowed payload size ({limit} bytes)."
                self._fail(pending, "oversized", "Function.ResponseSizeTooLarge", message)
                return too_large(limit)
            machine.posted()
            result.body = b"".join(parts)
            if result.streamed:
                _take_trailers(result, headers, event)
            elif pending.streaming and call is Call.RESPONSE and result.body:
                pending.chunks_waiting.append(result.body)
                pending.n_waiting += len(result.body)
                result.body = b""
            self._finish(pending, result)
        return ACCEPTED

    def _hand_on(self, connection: _Connection, pending: Pending, chunk: bytes) -> None:
        """Gives a part of a stream to the caller, who may be slow."""
        with self._cond:
            pending.chunks_waiting.append(chunk)
            pending.n_waiting += len(chunk)
            self._cond.notify_all()
            while pending.n_waiting > STREAM_WINDOW:
                self._cond.wait()
                if self._is_stale(connection):
                    raise _Dropped

    def _init_failed(self, connection: _Connection, request: h11.Request, call: Call) -> Answer:
        """`init/error` or `restore/error`."""
        headers = _headers(request)
        parts: list[bytes] = []
        n_read = 0
        while not isinstance(event := self._event(connection), h11.EndOfMessage):
            assert isinstance(event, h11.Data)
            n_read += len(event.data)
            if n_read <= self._max_response:
                parts.append(bytes(event.data))
        connection.n_since_message = 0
        with self._cond:
            if self._is_stale(connection):
                return BROKEN
            if n_read > self._max_response:
                return too_large(self._max_response)
            machine = self._machine
            refused = machine.init_error() if call is Call.INIT_ERROR else machine.restore_error()
            if refused is not None:
                return refused
            self._init_error = Result(
                "",
                "init_error" if machine.state is State.INIT_ERROR else "restore_error",
                b"".join(parts),
                headers.get("content-type"),
                recorded_error_type(headers.get("lambda-runtime-function-error-type")),
                headers,
            )
            while self._queue:
                self._finish(self._queue[0], self._init_error)
            self._cond.notify_all()
        return ACCEPTED

    # ---- sending --------------------------------------------------------------------------------------------------

    def _send(self, connection: _Connection, answer: Answer, *, chunked: bool = False) -> None:
        """Writes an answer in one piece; its headers in the server's order."""
        headers = [*answer.headers, ("Date", formatdate(usegmt=True))]
        if answer.close:
            headers.append(("Connection", "close"))
        headers.append(("Transfer-Encoding", "chunked") if chunked else ("Content-Length", str(len(answer.body))))
        http = connection.http
        encoded = [(name.encode(), value.encode()) for name, value in headers]
        response = h11.Response(
            status_code=answer.http_status, headers=encoded, reason=_REASONS.get(answer.http_status, b"")
        )
        pieces = [http.send(response) or b""]
        if answer.body:
            pieces += http.send_with_data_passthrough(h11.Data(data=answer.body)) or []
        pieces.append(http.send(h11.EndOfMessage()) or b"")
        # Joining a large body costs a copy; sending it in two pieces costs nothing beside its size.
        if len(answer.body) > 64 * 1024:
            for piece in pieces:
                connection.send(piece)
        else:
            connection.send(b"".join(pieces))

    def _close_with(self, connection: _Connection, answer: Answer) -> bool:
        """The last answer on a connection whose request cannot be read to its end.  Always False."""
        head = [f"HTTP/1.1 {answer.http_status} {_REASONS[answer.http_status].decode()}"]
        head += [f"{name}: {value}" for name, value in answer.headers]
        head += ["Connection: close", "", ""]
        sock = connection.sock
        end = time.monotonic() + LINGER_S
        with contextlib.suppress(OSError, ValueError):
            sock.settimeout(LINGER_S)
            sock.sendall("\r\n".join(head).encode() + answer.body)
            # What is still on its way would turn our close into a reset, and the answer might be lost with it.
            sock.shutdown(socket.SHUT_WR)
            for _ in range(256):
                sock.settimeout(end - time.monotonic())  # ValueError: it is over
                if not sock.recv(_RECV):
                    break
        return False


# Control characters, and blanks at either end.
_UNFIT = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]|^[ \t]|[ \t]$")

_REASONS = {
    200: b"OK",
    202: b"Accepted",
    400: b"Bad Request",
    403: b"Forbidden",
    404: b"Not Found",
    405: b"Method Not Allowed",
    408: b"Request Timeout",
    410: b"Gone",
    413: b"Request Entity Too Large",
    431: b"Request Header Fields Too Large",
    500: b"Internal Server Error",
}


def _headers(request: h11.Request) -> dict[str, str]:
    """The headers of a request by name in lower case; those that come several times are joined by commas."""
    found: dict[str, str] = {}
    for raw_name, raw_value in request.headers:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        found[name] = f"{found[name]}, {value}" if name in found else value
    return found


def _head_len(request: h11.Request) -> int:
    """Bytes of all header lines of a request."""
    return sum(len(name) + len(value) + 4 for name, value in request.headers.raw_items())


def _take_trailers(result: Result, headers: dict[str, str], end: h11.EndOfMessage) -> None:
    """A stream may end with an error; only trailers that were announced count."""
    announced = {name.strip().lower() for name in headers.get("trailer", "").split(",")}
    trailers = {n.decode("latin-1"): v.decode("latin-1") for n, v in end.headers if n.decode("latin-1") in announced}
    error_type = trailers.get("lambda-runtime-function-error-type")
    error_body = trailers.get("lambda-runtime-function-error-body")
    if error_type is None and error_body is None:
        return
    result.error_type = recorded_error_type(error_type)
    try:
        result.stream_error = base64.b64decode(error_body or "", validate=True)
    except binascii.Error:
        result.stream_error = (error_body or "").encode()
