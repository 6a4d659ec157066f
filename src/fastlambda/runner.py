"""Typed Runners: what a user declares, and the ways to run it.

Owns the Runner's life: made once, setup once, run per invocation, on one event loop if anything is asynchronous.
Promises: asyncio is imported only when something is async, a typing library only when a type is declared.
Must not know: sockets, HTTP.
Source: the Rust crate lambda-runtime-types, whose names these are.
"""

from _collections_abc import Coroutine

try:
    from fastlambda._core import Config, Context, Invocation, Runtime, Stream, take_over
except ImportError as exc:
    from fastlambda._broken import explain

    explain(exc)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
    from typing import Any, Generic, NoReturn, TypeVar, overload

    Shared = TypeVar("Shared")
    Event = TypeVar("Event")
    Return = TypeVar("Return")
    T = TypeVar("T")
else:
    # Declaring a Runner needs nothing of typing: at run time Runner[S, E, R] is a plain alias of Runner.
    Shared = Event = Return = None

    class _Subscriptable:
        __slots__ = ()

        def __class_getitem__(cls, types: object) -> object:
            return type(list[int])(cls, types)

    Generic = dict.fromkeys([Event, (Shared, Event, Return)], _Subscriptable)


class LambdaEvent(Generic[Event]):
    """What a Runner's run() is given.

    Attributes:
        event: decoded to the declared type.
        region: AWS region id, or None when the environment names none.
        ctx: the Context of this invocation.
    """

    __slots__ = ("ctx", "event", "region")

    def __init__(self, event: "Event", region: "str | None", ctx: Context) -> None:
        self.event = event
        self.region = region
        self.ctx = ctx

    def __repr__(self) -> str:
        return f"LambdaEvent(event={self.event!r}, region={self.region!r})"


class Runner(Generic[Shared, Event, Return]):
    """One function: subclass it as `class MyRunner(Runner[Shared, Event, Return])` and define `run`.

    Every method may be `def` or `async def`; asynchronous ones share one event loop for the life of the process.
    The class is made without arguments, once.

    Type parameters:
        Shared: what setup() returns and every run() is given.
        Event: what an event is decoded to: a JSON type (object, dict, list, str, ...), `bytes` for the raw payload, or
            a dataclass, TypedDict, msgspec.Struct or pydantic model.
        Return: what run() returns, likewise.

    Attributes:
        timeout_margin_ms: run() is interrupted this many milliseconds before its deadline, if that is earlier than
            FASTLAMBDA_TIMEOUT_MARGIN_MS says: for Runners that have something to do then.
        after_timeout: "exit" ends the process after an interruption, "keep" goes on with the next event: for Runners
            that leave nothing behind when they are interrupted.  FASTLAMBDA_AFTER_TIMEOUT overrides it.
    """

    timeout_margin_ms: int = 0
    after_timeout: str = "exit"
    # Whether what awaits a task that has called sys.exit() is told of it, before the process ends.
    outlives_exits = False

    # Any, so that both `region: str`, which it is in Lambda, and `region: str | None` override it for type checkers.
    def setup(self, region: "Any") -> "Shared | Awaitable[Shared]":
        """Makes what all invocations share, once, before the first event is asked for.

        Args:
            region: AWS region id; None when the environment names none, which does not happen in Lambda.

        Returns:
            The shared value; None unless overridden.
        """
        return None  # type: ignore[return-value]

    def run(self, shared: "Shared", event: "LambdaEvent[Event]") -> "Return | Awaitable[Return]":
        """Handles one invocation.

        Args:
            shared: what setup() returned.
            event: the event, the region and the Context.

        Returns:
            The result; its encoding is what the caller gets.
        """
        raise NotImplementedError(f"{type(self).__name__} does not define run(shared, event)")


class TestData:
    """Events for exec_test.

    Args:
        invocations: one event for each invocation, as JSON values.
        region: AWS region id for setup() and the events.

    Source: the crate's test data, `{"region": "eu-central-1", "invocations": [EVENT, ...]}`.
    """

    __test__ = False  # pytest: not a test class

    def __init__(self, invocations: "Sequence[Any]" = (), region: "str | None" = None) -> None:
        self.invocations = list(invocations)
        self.region = region

    @classmethod
    def of(cls, data: "TestData | Mapping[str, Any] | str | bytes") -> "TestData":
        """Test data from a dict, JSON text or JSON bytes.

        Raises:
            UsageError: the data has another form; the message says what is missing.
        """
        from fastlambda.errors import UsageError

        if isinstance(data, TestData):
            return data
        if isinstance(data, (str, bytes)):
            from json import loads

            try:
                data = loads(data)
            except ValueError as exc:
                raise UsageError(f"test data is not JSON: {exc}") from None
        if not isinstance(data, dict) or not isinstance(data.get("invocations"), list):
            raise UsageError('test data must be {"region": TEXT, "invocations": [EVENT, ...]}')
        return cls(data["invocations"], data.get("region"))


def _is_awaitable(value: object) -> bool:
    return hasattr(type(value), "__await__")


class Loop:
    """The event loop of a process, made when something has to be awaited for the first time."""

    def __init__(self, runtime: "Runtime | None" = None) -> None:
        self.loop: AbstractEventLoop | None = None
        self.outlives_exits = False  # see Runner
        self.runtime = runtime  # whose guard interrupts the task of the invocation under way

    def wait(self, value: "Any") -> "Any":
        """`value`, or what it gives when awaited on this loop."""
        if not _is_awaitable(value):
            return value
        if self.loop is None:
            import asyncio

            self.loop = asyncio.new_event_loop()
            asyncio.set_event_loop(self.loop)
        task = self.loop.create_task(interruptible(value, self.runtime))
        if self.runtime is not None:
            self.runtime.task = task
        try:
            return self.loop.run_until_complete(task)
        except (SystemExit, KeyboardInterrupt):
            # Raised in a task of the user's own, it leaves the loop before the one that awaits it hears of it.
            if task.done() or not self.outlives_exits:
                raise
        return self.loop.run_until_complete(task)

    def close(self) -> None:
        """Ends the event loop; may be called twice."""
        loop, self.loop = self.loop, None
        if loop is not None:
            import asyncio

            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.close()
            asyncio.set_event_loop(None)


class Host(Loop):
    """A Runner at work: its instance, its shared value and, once something is async, its event loop.

    Args:
        runner_class: the user's class.
        region: for setup() and the events.
    """

    def __init__(self, runner_class: "type[Runner[Any, Any, Any]]", region: "str | None") -> None:
        if not (isinstance(runner_class, type) and issubclass(runner_class, Runner)):
            from fastlambda.errors import UsageError

            raise UsageError(f"a subclass of fastlambda.Runner is needed, not {runner_class!r}")
        super().__init__()
        self.runner = runner_class()
        self.outlives_exits = self.runner.outlives_exits
        self.region = region
        self.shared: Any = None
        self.decode, self.encode = _codecs(runner_class)

    def attach(self, runtime: Runtime) -> None:
        """Has `runtime` call this Runner, and interrupt it as early as it asks for."""
        runtime.bind(self.call, self.decode, self.encode)
        runtime.wait = self.wait
        self.runtime = runtime
        config = runtime.config
        config.timeout_margin_ms = max(config.timeout_margin_ms, self.runner.timeout_margin_ms)
        if self.runner.after_timeout not in ("exit", "keep"):
            from fastlambda.errors import UsageError

            raise UsageError(
                f"after_timeout of {type(self.runner).__name__} must be 'exit' or 'keep', "
                f"not {self.runner.after_timeout!r}"
            )
        if config.after_timeout is None:
            config.after_timeout = self.runner.after_timeout

    def setup(self) -> None:
        self.shared = self.wait(self.runner.setup(self.region))
        self.register_hooks()

    def register_hooks(self) -> None:
        """The Runner's own methods for what happens around invocations, where it has any."""
        for name, register in (("after_response", "after_response"), ("shutdown", "on_shutdown")):
            method = getattr(self.runner, name, None)
            if method is not None:
                from fastlambda import hooks

                getattr(hooks, register)(lambda method=method: self.wait(method(self.shared)))

    def call(self, event: object, context: Context) -> object:
        """One invocation, as the loop calls it."""
        return self.wait(self.runner.run(self.shared, LambdaEvent(event, self.region, context)))


class _Interruptible(Coroutine):  # type: ignore[type-arg]
    """A coroutine that sees the guard's interruption, which is a cancellation, too, where it is cancelled by it.

    Args:
        coroutine: what runs.
        runtime: whose guard it is.
    """

    def __init__(self, coroutine: "Any", runtime: "Runtime") -> None:
        self.coroutine = coroutine
        self.runtime = runtime

    def send(self, value: "Any") -> "Any":
        return self.coroutine.send(value)

    def close(self) -> None:
        self.coroutine.close()

    def throw(self, exc: "Any", *more: "Any") -> "Any":
        if self.runtime.interruption is not None and not more and isinstance(exc, BaseException):
            from asyncio import CancelledError

            if isinstance(exc, CancelledError):
                from fastlambda.interruption import as_cancellation

                exc = as_cancellation(self.runtime.interruption, exc)
        return self.coroutine.throw(exc, *more)

    def __await__(self) -> "Any":
        return self

    def __iter__(self) -> "Any":
        return self

    def __next__(self) -> "Any":
        return self.coroutine.send(None)

    def __getattr__(self, name: str) -> "Any":  # cr_frame, cr_await, __name__, ...
        return getattr(self.coroutine, name)


async def _await(value: "Awaitable[T]") -> "T":
    return await value


def interruptible(value: "Awaitable[Any]", runtime: "Runtime | None") -> "Any":
    """A coroutine of `value`, whose code sees the guard's interruption where it is cancelled by it.

    A coroutine stays what it is: a GeneratorExit out of what it awaits would close it, if it were awaited itself.
    """
    coroutine = value if hasattr(type(value), "cr_await") else _await(value)
    return coroutine if runtime is None else _Interruptible(coroutine, runtime)


# Declared types that need no decoder of their own.
PLAIN = (object, dict, list, str, int, float, bool, None, type(None))


# Not Iterable: that can be a list, which is JSON.
_STREAMS = frozenset(["Iterator", "Generator", "AsyncIterable", "AsyncIterator", "AsyncGenerator", "StreamingResponse"])


def _is_stream(return_type: object) -> bool:
    """Whether a Runner's Return says that its result is streamed."""
    kind: Any = getattr(return_type, "__origin__", None) or return_type
    module = getattr(kind, "__module__", "")
    return getattr(kind, "__name__", "") in _STREAMS and (
        module in ("collections.abc", "_collections_abc", "typing", "fastlambda.streams")
    )


def subscript(cls: type, origin: type) -> "tuple[Any, ...]":
    """The arguments of `origin[...]` among the bases of a class or its ancestors, as they are written; () without.

    Cheap: nothing of typing is needed.  What is no plain type is for typed.type_arguments().
    """
    for ancestor in cls.__mro__:
        for base in ancestor.__dict__.get("__orig_bases__", ()):
            if getattr(base, "__origin__", None) is origin:
                return tuple(base.__args__)
    return ()


def _codecs(runner_class: type) -> "tuple[Callable[[bytes], Any] | None, Callable[[Any], bytes | Stream] | None]":
    """Decoder and encoder for the declared Event and Return; None: plain JSON."""
    args = subscript(runner_class, Runner)
    if len(args) != 3:
        return None, None
    event_type, return_type = args[1:]
    decode = bytes if event_type is bytes else None
    if decode is not None or event_type in PLAIN:
        if return_type is bytes or return_type in PLAIN:
            return decode, None
        if _is_stream(return_type):
            from fastlambda.streams import as_stream

            return decode, as_stream
    from fastlambda import typed

    _, event_type, return_type = typed.runner_types(runner_class)
    if _is_stream(return_type):
        from fastlambda.streams import as_stream

        return typed.decoder(event_type), as_stream
    return typed.decoder(event_type), typed.encoder(return_type)


def _start(runner_class: "type[Runner[Any, Any, Any]]", config: "Config | None") -> "tuple[Host, Runtime]":
    """Host and Runtime for a Runner, which is not set up yet."""
    config = config or Config.from_env()
    runtime = Runtime(config, None)
    take_over(runtime)
    try:
        host = Host(runner_class, config.region)
    except BaseException as exc:
        _fail_start(runtime, exc, runner_class)
    host.attach(runtime)
    return host, runtime


def _fail_start(runtime: Runtime, exc: BaseException, what: object) -> "NoReturn":
    """Reports that a Runner cannot be made, and ends the process.

    CloudFormation would wait an hour for a custom resource of which it hears nothing: its request is answered, and the
    process starts anew for the next.

    Args:
        runtime: that was to serve it.
        exc: why.
        what: its class, or the name of the module that was to have it.

    Raises:
        SystemExit: always.
    """
    if runtime.config.initialization_type in (None, "on-demand") and _is_custom_resource(what):
        from fastlambda.custom_resource import stand_in

        host = Host(stand_in(exc), runtime.config.region)
        host.attach(runtime)
        host.setup()
        runtime.serve(1)
        _start_again(runtime)
    from fastlambda.errors import fail_init

    fail_init(runtime.channel, exc)


def _start_again(runtime: Runtime) -> "NoReturn":
    """Puts a new interpreter in the place of this one, with the same arguments.

    A process that ended here would fail the invocation, whose answer is complete: it lasts until the next is asked for.
    Lambda would repeat it, and CloudFormation be told another thing.
    """
    import sys
    from os import execv

    runtime.release_guard()
    runtime.channel.close()
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
    execv(sys.executable, sys.orig_argv)


def _is_custom_resource(what: object) -> bool:
    """Whether a class is one, or a module is about them; one that could not be imported may not have come that far."""
    name = "fastlambda.custom_resource"
    if isinstance(what, type):
        return any(cls.__module__ == name for cls in what.__mro__)
    from sys import modules

    if name in modules:
        return True
    try:
        from importlib.util import find_spec

        spec = find_spec(str(what))
        with open(spec.origin, "rb") as file:  # type: ignore[union-attr, arg-type]
            return name.encode() in file.read()
    except Exception:  # a parent package that fails as well, no file: not known to be one
        return False


def _set_up(host: Host, runtime: Runtime) -> None:
    try:
        host.setup()
    except BaseException as exc:
        from fastlambda.errors import fail_init

        fail_init(runtime.channel, exc)


def adopt(runtime: Runtime, runner_class: "type[Runner[Any, Any, Any]]") -> None:
    """Has `runtime` call a Runner, which is set up."""
    host = Host(runner_class, runtime.config.region)
    host.attach(runtime)
    host.setup()


def runtime_for_target(target: str, config: Config) -> Runtime:
    """The Runtime for `module:RunnerClass`, set up and ready to serve."""
    runtime = Runtime(config, None)
    take_over(runtime)
    module_name, _, class_name = target.partition(":")
    try:
        __import__(module_name)
        from sys import modules

        runner_class = modules[module_name]
        for name in class_name.split("."):
            runner_class = getattr(runner_class, name)
        adopt(runtime, runner_class)  # type: ignore[arg-type]
    except BaseException as exc:
        from fastlambda.handler import runner_fault

        _fail_start(runtime, runner_fault(target, exc), module_name)
    return runtime


def exec(runner_class: "type[Runner[Any, Any, Any]]", config: "Config | None" = None) -> None:
    """Runs a Runner until Lambda ends the process: blocks.

    Args:
        runner_class: a subclass of Runner.
        config: None: Config.from_env().

    Raises:
        UsageError: the environment names no Runtime API, or `runner_class` is no Runner.
        TransportError: the connection to the Runtime API failed.
        SystemExit: with 1 after an init error was reported; with the handler's own code when it asked to leave.
    """
    host, runtime = _start(runner_class, config)
    try:
        _set_up(host, runtime)
        runtime.serve()
    finally:
        host.close()


async def exec_async(runner_class: "type[Runner[Any, Any, Any]]", config: "Config | None" = None) -> None:
    """Runs a Runner inside the running event loop, which stays free while no event has come.

    Args and errors are those of exec().
    """
    import asyncio

    host, runtime = _start(runner_class, config)
    runtime.is_guest = True
    loop = asyncio.get_running_loop()
    task = asyncio.current_task()
    assert task is not None
    try:
        shared: Any = host.runner.setup(host.region)
        host.shared = await shared if _is_awaitable(shared) else shared
    except BaseException as exc:
        from fastlambda.errors import fail_init

        fail_init(runtime.channel, exc)
    runtime.begin()
    try:
        while True:
            await _readable(loop, runtime)
            inv = runtime.poll()
            runtime.task = task
            n_cancelled, is_leaving = task.cancelling(), False
            try:
                event = LambdaEvent(runtime.decode(inv), host.region, Context(inv, runtime.config))
                result: Any = host.runner.run(host.shared, event)
                if _is_awaitable(result):
                    result = await interruptible(result, runtime)
                payload = runtime.encode(result)
            except asyncio.CancelledError as exc:
                if runtime.interruption is None:
                    raise
                _uncancel(task, n_cancelled)
                runtime.fail(inv, exc)
            except BaseException as exc:
                runtime.fail(inv, exc)
            else:
                if runtime.interruption is not None:
                    _uncancel(task, n_cancelled)
                    runtime.post_answer_anyway(inv, result, payload)
                else:
                    # The Runner came to a result all the same; who cancelled meant this loop.
                    is_leaving = task.cancelling() > n_cancelled
                    if isinstance(payload, Stream):
                        from fastlambda.streams import answer_async

                        await answer_async(runtime, inv, payload)
                    else:
                        runtime.answer(inv, payload)
            if runtime.interruption is not None:
                from fastlambda.ending import after_interruption

                after_interruption(runtime)
            if is_leaving:
                raise asyncio.CancelledError
    finally:
        runtime.release_guard()
        runtime.channel.close()


def _uncancel(task: "Any", n_cancelled: int) -> None:
    """Takes back the guard's cancellations, which are over with the invocation."""
    while task.cancelling() > n_cancelled:
        task.uncancel()


async def _readable(loop: "AbstractEventLoop", runtime: Runtime) -> None:
    """Asks for the next event and waits until its answer begins."""
    import asyncio

    runtime.channel.start_next()
    fd = runtime.channel.fileno()
    if fd < 0:
        return
    ready = asyncio.Event()
    loop.add_reader(fd, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(fd)


if TYPE_CHECKING:

    @overload
    def exec_test(
        runner_class: "type[Runner[Any, Any, Iterator[Any]]] | type[Runner[Any, Any, AsyncIterator[Any]]]",
        test_data: "TestData | Mapping[str, Any] | str | bytes",
        config: "Config | None" = None,
    ) -> "list[bytes]": ...
    @overload
    def exec_test(
        runner_class: "type[Runner[Any, Any, Return]]",
        test_data: "TestData | Mapping[str, Any] | str | bytes",
        config: "Config | None" = None,
    ) -> "list[Return]": ...


def exec_test(
    runner_class: "type[Runner[Any, Any, Any]]",
    test_data: "TestData | Mapping[str, Any] | str | bytes",
    config: "Config | None" = None,
) -> "list[Any]":
    """Runs a Runner in this process, once for each event of the test data; no Runtime API is needed.

    Events are encoded and decoded as they would be in Lambda, and so are results, whose encoding is thrown away.

    Args:
        runner_class: a subclass of Runner.
        test_data: TestData, a dict, JSON text or JSON bytes.
        config: what Context tells about the function; None: Config.from_env().

    Returns:
        What run() returned, one result for each event; of a streamed one the bytes.

    Raises:
        UsageError: the test data has another form.
        UnmarshalError: an event does not fit the declared type.
        BaseException: whatever setup() or run() raises.
    """
    from json import dumps

    data = TestData.of(test_data)
    config = config or Config.from_env()
    region = data.region or config.region
    host = Host(runner_class, region)
    runtime = Runtime(config, host.call, host.decode, host.encode, True)
    results = []
    try:
        host.setup()
        for n, event in enumerate(data.invocations, 1):
            body = event if isinstance(event, bytes) else dumps(event).encode()
            inv = Invocation.offline(body, f"test-{n}")
            result = host.call(runtime.decode(inv), Context(inv, config))
            payload = runtime.encode(result)
            if isinstance(payload, Stream) or inv.stream is not None:
                from fastlambda.streams import collect

                result = collect(inv, payload, host.wait)
            results.append(result)
    finally:
        host.close()
    return results
