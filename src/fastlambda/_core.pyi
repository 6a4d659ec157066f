from collections.abc import Callable, Iterable, Mapping
from types import FrameType
from typing import Any

from fastlambda.streams import HttpStream, ResponseStream

__version__: str

class Config:
    """What the environment says, read once.

    Attributes:
        runtime_api: host:port of the Runtime API, or None outside Lambda.
        handler: the handler string, `module.function` or `module:RunnerClass`.
        region: AWS region id.
        function_name, function_version, log_group_name, log_stream_name: as Lambda names them, or None.
        memory_limit_in_mb: decimal MB as text, as Lambda gives it.
        initialization_type: "on-demand", "provisioned-concurrency", "snap-start" or "lambda-managed-instances".
        task_root: folder of the function's code.
        http: "h11" to read every answer with h11; None: only what the scanner declines.
        json: "orjson" or "stdlib" to fix the JSON codec; None: the cheaper one for this process.
        json_layout: "aws" to write results in the layout of AWS's client; None: compact.
        log_format, log_level, telemetry_fd: as Lambda names them, or None.
        register_extension: whether this process registers as an extension, so that Lambda sends SIGTERM.
        lazy_imports: whether the function's modules import lazily (Python 3.15).
        pipeline: whether a result and the next poll leave in one write.
        guard: whether deadlines, memory and init are watched.
        timeout_margin_ms: a handler is interrupted this many milliseconds before its deadline.
        timeout_last_ms: the process is ended, and the error reported, this many milliseconds before it.
        after_timeout: what follows the report of an interruption: "exit" ends the process, "keep" goes on with the next
            event, "raise" raises it out of the loop; None: "exit".
        memory_margin_mb: a handler is interrupted this many MiB below the memory limit; -1: just before it is crossed.
        init_limit_ms: Lambda's limit for init, shortly before which the stacks are dumped; 0: not watched.
    """

    runtime_api: str | None
    handler: str | None
    region: str | None
    function_name: str | None
    function_version: str | None
    memory_limit_in_mb: str | None
    log_group_name: str | None
    log_stream_name: str | None
    initialization_type: str | None
    task_root: str | None
    http: str | None
    json: str | None
    json_layout: str | None
    pipeline: bool
    guard: bool
    timeout_margin_ms: int
    timeout_last_ms: int
    after_timeout: str | None
    memory_margin_mb: int
    init_limit_ms: int
    log_format: str | None
    log_level: str | None
    telemetry_fd: str | None
    register_extension: bool
    lazy_imports: bool

    def __init__(
        self,
        *,
        runtime_api: str | None = ...,
        handler: str | None = ...,
        region: str | None = ...,
        function_name: str | None = ...,
        function_version: str | None = ...,
        memory_limit_in_mb: str | None = ...,
        log_group_name: str | None = ...,
        log_stream_name: str | None = ...,
        initialization_type: str | None = ...,
        task_root: str | None = ...,
        http: str | None = ...,
        json: str | None = ...,
        json_layout: str | None = ...,
        log_format: str | None = ...,
        log_level: str | None = ...,
        telemetry_fd: str | None = ...,
        register_extension: bool = ...,
        lazy_imports: bool = ...,
        pipeline: bool = ...,
        guard: bool = ...,
        timeout_margin_ms: int = ...,
        timeout_last_ms: int = ...,
        memory_margin_mb: int = ...,
        init_limit_ms: int = ...,
    ) -> None: ...
    @staticmethod
    def from_env(environ: Mapping[str, str] | None = None) -> Config:
        """The configuration that environment variables give.

        Args:
            environ: None: os.environ.

        Raises:
            UsageError: a setting that must be a whole number is none.
        """

class Invocation:
    """One delivered event with its metadata, as it came."""

    body: bytes
    deadline_ms: int
    @property
    def request_id(self) -> str | None: ...
    @property
    def trace_id(self) -> str | None: ...
    @property
    def content_type(self) -> str | None: ...
    @property
    def attempt_id(self) -> str | None:
        """What tells attempts at one asynchronous event apart, where the server says; else the request id."""
    channel: Channel | None
    stream: Any
    def field(self, which: int, /) -> str | None:
        """One of the fields that came with the event, by its number in rapi.h; None: it did not."""
    after: Callable[[], Any] | None
    @staticmethod
    def offline(body: bytes, request_id: str, timeout_ms: int = 60_000, trace_id: str = "", /) -> Invocation:
        """An invocation that no server sent: for tests of a handler in this process."""

class Context:
    """What a handler learns about its invocation and its function.

    Has all that AWS's LambdaContext has, under its names and under those of the Rust crate lambda-runtime-types.
    Attributes are made when first asked for, and may be set freely.

    Attributes:
        aws_request_id, request_id: id of the invocation.
        deadline: Unix milliseconds at which Lambda ends it; 0: unknown.
        invoked_function_arn: with the alias or version it was called by.
        xray_trace_id: the trace header, or None.
        tenant_id: of a function in tenant isolation, or None.
        client_context: a ClientContext, or None.
        identity: a CognitoIdentity, never None.
        function_name, function_version, log_group_name, log_stream_name, memory_limit_in_mb: as Lambda names them.
        env_config: the Config.
    """

    aws_request_id: str
    request_id: str
    deadline: int
    invoked_function_arn: str | None
    xray_trace_id: str | None
    tenant_id: str | None
    client_context: Any
    identity: Any
    function_name: str | None
    function_version: str | None
    log_group_name: str | None
    log_stream_name: str | None
    memory_limit_in_mb: str | None
    env_config: Config
    _invocation: Invocation

    def __init__(self, invocation: Invocation, config: Config) -> None: ...
    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until Lambda ends this invocation, never below 0."""
    def w3c(self) -> dict[str, str]:
        """The W3C trace context that came with the event: those of traceparent, tracestate, baggage that did."""
    def response_stream(
        self,
        content_type: str | None = None,
        *,
        http: HttpStream | None = None,
        coalesce_bytes: int = 0,
        coalesce_ms: float = 0,
    ) -> ResponseStream:
        """Sends this invocation's result piece by piece, for code that is not a generator.

        What the handler returns then does not count.  An error before the first byte is reported as any other; after
        it, it ends the stream with trailers.

        Args:
            content_type: of the result; None: application/octet-stream.
            http: status, headers and cookies, for function URLs and API Gateway.
            coalesce_bytes: small chunks wait until this many bytes have come together; 0: each is sent at once.
            coalesce_ms: milliseconds that a chunk may wait at most; needed with coalesce_bytes.

        Raises:
            UsageError: this invocation already has a stream.
        """
    def log(self, message: object) -> None:
        """Writes `message` to the function's log as it is, without a new line."""

class Channel:
    """One connection to the Runtime API, opened when first needed.

    Args:
        runtime_api: host:port.
        http: "h11" to read every answer with h11.

    Raises:
        UsageError: `runtime_api` has another form.
    """

    runtime_api: str
    http_status: int
    def __init__(self, runtime_api: str, http: str | None = None) -> None: ...
    def next(self) -> Invocation:
        """GET invocation/next: waits for an event, for hours if need be."""
    def start_next(self) -> None:
        """GET invocation/next without waiting for its answer, which next() then reads."""
    def post_error(
        self, inv: Invocation | None, body: bytes, headers: bytes, phase: bytes = ..., /
    ) -> tuple[int, bytes]:
        """POST invocation/{id}/error, or {phase}/error without an invocation; the answer's status and body."""
    def get_restore_next(self) -> int:
        """GET restore/next; the answer's status."""
    stream_state: int
    stream_len: int
    def begin_stream(self, inv: Invocation, headers: bytes, preface: tuple[bytes, ...] = (), /) -> None:
        """Starts a streamed POST invocation/{id}/response, whose head goes out with the first chunk.

        Args:
            inv: what next() returned.
            headers: complete header lines.
            preface: first chunks of the body, which go out with the next one, or with write_chunk(b"").
        """
    def write_chunk(self, data: bytes | bytearray | memoryview | str) -> int:
        """Sends one chunk, text as UTF-8, and blocks while the receiver is slow; nothing is copied or kept.

        Returns:
            The chunk's bytes.

        Raises:
            StreamClosed: the server has ended the connection; the stream is lost.
        """
    def end_stream(self, trailers: bytes = b"") -> tuple[int, bytes]:
        """Ends the stream; the answer's status and body.  The connection is closed.

        Args:
            trailers: complete trailer lines.
        """
    def break_stream(self) -> None:
        """Cuts the stream off: the server sees a body without its end."""
    def close(self) -> None:
        """Closes the connection; the next request opens another."""
    def fileno(self) -> int:
        """The connection's descriptor, -1 when there is none."""
    def receive_bytes(self) -> bytes: ...

class Stream:
    """A result that is sent piece by piece."""

class Runtime:
    """One polling loop: takes events from its Channel, gives them to `call`, posts what comes back."""

    config: Config
    channel: Channel
    wait: Callable[[Any], Any] | None
    codec: Codec
    call: Callable[[Any, Any], Any]
    decoder: Callable[[bytes], Any] | None
    encoder: Callable[[Any], Any] | None
    face: Any
    invocation: Invocation | None
    after: Callable[[], None] | None
    is_guest: bool
    is_stopping: bool
    is_polling: bool
    def __init__(
        self,
        config: Config,
        call: Callable[[Any, Context], Any] | None,
        decode: Callable[[bytes], Any] | None = None,
        encode: Callable[[Any], bytes | Stream] | None = None,
        is_offline: bool = False,
        /,
    ) -> None: ...
    def bind(
        self,
        call: Callable[[Any, Context], Any] | None,
        decode: Callable[[bytes], Any] | None = None,
        encode: Callable[[Any], bytes | Stream] | None = None,
        /,
    ) -> None: ...
    def serve(self, limit: int = -1) -> None:
        """Answers invocations: for ever, or `limit` of them."""
    def begin(self) -> int:
        """The end of init: the snapshot, and what the function has registered."""
    def poll(self) -> Invocation: ...
    def dispatch(self, inv: Invocation, call: Callable[[Any, Any], Any], with_next: bool) -> int:
        """All that comes between an event and the end of its invocation; `call` is what takes it."""
    def decode(self, inv: Invocation) -> Any: ...
    def encode(self, result: Any) -> Any: ...
    def answer(self, inv: Invocation, payload: Any, /) -> None: ...
    def answer_as(self, inv: Invocation, payload: bytes | str, headers: bytes, /) -> None:
        """Posts a result, bytes or text, with header lines of the caller's."""
    def settle(self, inv: Invocation, http_status: int, body: bytes, /) -> None: ...
    def fail(self, inv: Invocation, exc: BaseException, /) -> None: ...
    def fail_bare(self, inv: Invocation, exc: BaseException, /) -> None:
        """Posts an error without loading anything; raises `exc`."""
    def run_after(self, after: Callable[[], Any], /) -> int: ...
    interruption: BaseException | None
    home: FrameType | None
    def publish_trace(self, inv: Invocation) -> int: ...
    task: Any
    def claim(self) -> int:
        """Makes the answer the loop's, where it is about to be written; waits for the end of the process when the guard
        has it."""
    def interrupt(self, *number_and_frame: Any) -> None: ...
    def remaining_ms(self) -> int:
        """Milliseconds until the deadline of the invocation under way, or the last one; -1: unknown."""
    def post_answer_anyway(self, inv: Invocation, result: Any, payload: Any) -> int:
        """Posts what an interrupted handler has returned, if that was on purpose; else the interruption."""
    def is_pending(self, generation: int) -> bool:
        """Whether the invocation of that generation is still to be answered by its handler."""
    def release_guard(self) -> None:
        """Gives back what the guard took; the next event takes it again.  May be called twice."""

def raise_in_thread(ident: int, kind: type[BaseException], /) -> int:
    """Raises `kind` in the thread of that identifier, once it runs Python code."""

def main(argv: list[str] | None = None) -> None:
    """Runs the function named on the command line, or by _HANDLER, until Lambda ends the process."""

def main_managed(task: str, sites: list[str], runtime_dir: str, /) -> Exception | None:
    """main() for the exec wrapper of a managed runtime, whose program has set sys.path."""

class Codec:
    """JSON with one meaning, whichever codec runs: the rules of docs/json.md.

    Args:
        choice: "orjson" to import it at once, "stdlib" never to, None for the cheaper one of this process.
        layout: "aws" writes the layout of AWS's client, None the compact one.
        budget: bytes to work without orjson.

    Attributes:
        name: which codec runs: "orjson" or "stdlib".
        rented: bytes read and written without orjson.
    """

    name: str
    budget: int
    rented: int
    replace: Callable[[object], tuple[bool, object]] | None
    def __init__(self, choice: str | None = ..., layout: str | None = ..., budget: int = ..., /) -> None: ...
    def buy(self) -> int: ...
    def settle(self) -> int: ...
    def look_around(self) -> int: ...
    def decode(self, body: bytes) -> Any: ...
    def encode(self, value: object) -> bytes: ...

class Unbuffered:
    """A standard stream whose writes are seen at once; everything else is the stream's own, or set on this object."""

    stream: Any
    def write(self, text: str) -> None: ...
    def writelines(self, lines: Iterable[str]) -> None: ...
    def __getattr__(self, name: str) -> Any: ...

class LogSetup:
    """Where and how this process logs."""

    runtime: Runtime
    fd: int
    def find_spec(self, *name_path_target: Any, **named: Any) -> Any: ...
    def has_telemetry(self) -> bool: ...
    def ids(self) -> tuple[str, str | None]: ...

def ends_in_object(text: str, /) -> bool:
    """Whether the innermost bracket that is open at the end of a valid document's beginning is a brace."""

def find_outside(text: str, word: bytes, /) -> int:
    """Where a word first stands outside of strings; -1: nowhere."""

def count_hard_floats(text: bytes, /) -> int:
    """How many numbers a reader of floats may have to take the slow way."""

def log_setup() -> LogSetup | None:
    """This process's LogSetup; None before take_over()."""

def running() -> Runtime | None:
    """The Runtime whose process this is; None before take_over()."""

def take_over(runtime: Runtime) -> None:
    """Makes a process the Runtime's own: its streams and its logging."""
