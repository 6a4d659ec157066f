"""Custom resources of CloudFormation: create, update, delete, and an answer to the presigned URL whatever happens.

Owns the response object, its rules about physical ids and sizes, and its delivery.
Promises: one answer for each request, whatever the user's code raises, wherever it does, also when time or memory runs
out, or setup() or the import of the module has failed; a delete for whatever create() may have made;
no value of Data, of the properties or of the presigned URL in a log or a message of ours.
Must not know: the Runtime API, the other features.  asyncio is imported only for asynchronous methods.
Source: CloudFormation User Guide, "Custom resource request objects" and "Custom resource response objects".
"""

from fastlambda.errors import (
    FastlambdaError,
    InvocationTimeout,
    MemoryExhausted,
    UnmarshalError,
    answer_on_purpose,
    check_interruption,
)
from fastlambda.runner import PLAIN, Runner, subscript

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from typing import Any, Generic, TypeVar

    from fastlambda._core import Context
    from fastlambda.runner import LambdaEvent

    Shared = TypeVar("Shared")
    Properties = TypeVar("Properties")
else:
    from fastlambda.runner import _Subscriptable

    Shared = Properties = None
    Generic = {Properties: _Subscriptable, (Shared, Properties): object}

# Limits of the response object.
MAX_BODY = 4096
MAX_PHYSICAL_ID = 1024
# Told to CloudFormation when create() failed before there was anything; the delete that follows has nothing to do.
NOT_CREATED = "fastlambda:not-created:"
# Of the properties: CloudFormation's own, which no user's type knows.
OWN_PROPERTIES = ("ServiceToken", "ServiceTimeout")
# One attempt to deliver; S3 answers in far less.
ATTEMPT_S = 10.0
# Kept of the function's time for reporting that the answer was not delivered.
TO_TELL_S = 0.3


class DeliveryError(FastlambdaError):
    """The answer could not be delivered to the presigned URL, which is not part of the message: it is a credential."""

    outranks_interruptions = True


class Resource:
    """What create() and update() may return.

    Args:
        physical_id: name of the resource, at most 1024 bytes, or a number; None: a new one in create(), the present one
            in update().
        data: values for Fn::GetAtt.
        no_echo: masks `data` wherever CloudFormation shows it.
        replaces: in update(): `physical_id` is a new resource, and CloudFormation is to delete the old one.
    """

    __slots__ = ("data", "no_echo", "physical_id", "replaces")

    def __init__(
        self,
        physical_id: "str | int | None" = None,
        data: "Mapping[str, Any] | None" = None,
        *,
        no_echo: bool = False,
        replaces: bool = False,
    ) -> None:
        self.physical_id = physical_id
        self.data = data
        self.no_echo = no_echo
        self.replaces = replaces

    def __repr__(self) -> str:
        return f"Resource(physical_id={self.physical_id!r})"  # no data: it ends up in logs


class ResourceRequest(Generic[Properties]):
    """One request of CloudFormation.

    Attributes:
        properties: of the resource, decoded into the declared type; text becomes numbers and booleans where it says so.
        old_properties: before an update, else None.
        physical_id: of the resource; None in create(), which may set it as soon as there is something to delete.
        request_type: "Create", "Update" or "Delete".
        logical_id: name in the template.
        stack_id: ARN of the stack.
        request_id: of CloudFormation; the same when Lambda repeats the event.
        resource_type: AWS::CloudFormation::CustomResource or Custom::Name.
        raw: the event as it came; it has the presigned URL, which is a credential.
        region: AWS region id, or None.
        ctx: the Context of the invocation.

    Raises:
        UnmarshalError: from `properties` and `old_properties`: they do not fit the declared type.
    """

    def __init__(self, event: "LambdaEvent[Any]", convert: "Callable[[Any], Any] | None") -> None:
        raw = event.event
        names = ("ResponseURL", "StackId", "RequestId", "LogicalResourceId")
        if not isinstance(raw, dict) or not all(isinstance(raw.get(name), str) for name in names):
            raise UnmarshalError(
                f"Unable to unmarshal input: the event is no custom resource request: {', '.join(names)} are needed"
            )
        self.raw: dict[str, Any] = raw
        self.request_type: str = raw["RequestType"] if isinstance(raw.get("RequestType"), str) else ""
        self.stack_id: str = raw["StackId"]
        self.request_id: str = raw["RequestId"]
        self.logical_id: str = raw["LogicalResourceId"]
        self.resource_type: str = raw.get("ResourceType", "AWS::CloudFormation::CustomResource")
        self.physical_id: str | None = raw.get("PhysicalResourceId")
        self.region = event.region
        self.ctx: Context = event.ctx
        self._convert = convert
        self._decoded: dict[str, Any] = {}
        # create() has returned: there is something to delete, whatever it is called.
        self._is_made = False
        # The response object, once it is known.
        self._answer: dict[str, Any] | None = None

    @property
    def properties(self) -> "Properties":
        return self._get("ResourceProperties")  # type: ignore[no-any-return]

    @property
    def old_properties(self) -> "Properties | None":
        return None if "OldResourceProperties" not in self.raw else self._get("OldResourceProperties")

    def _get(self, name: str) -> "Any":
        if name not in self._decoded:
            given = self.raw.get(name) or {}
            if not isinstance(given, dict):
                raise UnmarshalError(f"Unable to unmarshal input: {name} is {type(given).__name__}, not an object")
            value = {k: v for k, v in given.items() if k not in OWN_PROPERTIES}
            self._decoded[name] = value if self._convert is None else self._convert(value)
        return self._decoded[name]

    @property
    def default_id(self) -> str:
        """A physical id for a resource without one: the same when Lambda repeats the event, else unique."""
        stack = self.stack_id.split("/")[1] if self.stack_id.count("/") >= 2 else "stack"
        return f"{stack[:200]}-{self.logical_id[:255]}-{self.request_id[:100]}"

    def __repr__(self) -> str:
        return f"ResourceRequest({self.request_type} {self.logical_id!r}, physical_id={self.physical_id!r})"


class _NoSetup:
    """Stands for the shared value when setup() has failed: CloudFormation is told so with the first request."""

    def __init__(self, region: "str | None") -> None:
        self.region = region


_UNSET = object()


class CustomResourceRunner(Runner[Shared, object, object], Generic[Shared, Properties]):
    """Answers CloudFormation: subclass it as `class MyResource(CustomResourceRunner[Shared, Properties])`.

    Define `create`, and `update` and `delete` where there is something to do; each is `def` or `async def`. What they
    raise becomes a FAILED with a reason, and the invocation itself succeeds: Lambda must not repeat a request that has
    been answered.

    Type parameters:
        Shared: what setup() returns.
        Properties: what the resource's properties are decoded to.

    Attributes:
        timeout_margin_ms: how long before the deadline the user's code is interrupted, so that there is time to answer.
    """

    timeout_margin_ms = 2000
    outlives_exits = True

    def __init__(self) -> None:
        types = subscript(type(self), CustomResourceRunner)
        if len(types) == 2 and types[1] not in PLAIN:
            from fastlambda.typed import converter, type_arguments

            types = type_arguments(type(self), CustomResourceRunner)
            self._convert = converter(types[1])
        else:
            self._convert = None
        # Needed for every answer, also for the one after memory has run out: loaded while there is some.
        for name in ("json", "random", "traceback"):
            __import__(name)
        from fastlambda.upload import preload

        preload()
        # A failed setup() would be an init error, of which CloudFormation never hears.
        self._setup = self.setup
        self.setup = self._try_setup  # type: ignore[method-assign]
        self._shared: Any = _UNSET

    def create(
        self, shared: "Shared", request: "ResourceRequest[Properties]"
    ) -> "Awaitable[Resource | str | None] | Resource | str | None":
        """Makes the resource.

        Args:
            shared: what setup() returned.
            request: the request.

        Returns:
            A Resource, or its physical id, or None for a physical id that is made here.
        """
        raise NotImplementedError(f"{type(self).__name__} does not define create(shared, request)")

    def update(
        self, shared: "Shared", request: "ResourceRequest[Properties]"
    ) -> "Awaitable[Resource | str | None] | Resource | str | None":
        """Changes the resource; nothing unless overridden.

        Args:
            shared: what setup() returned.
            request: the request, with `old_properties` and `physical_id`.

        Returns:
            None or a Resource without a physical id: it is still the same. Another physical id needs `replaces=True`:
            CloudFormation then deletes the old resource.
        """
        return None

    def delete(self, shared: "Shared", request: "ResourceRequest[Properties]") -> "Awaitable[None] | None":
        """Deletes the resource; nothing unless overridden.

        Args:
            shared: what setup() returned.
            request: the request; `properties` are decoded when they are first asked for, and may not fit.
        """
        return None

    # ---- the invocation -------------------------------------------------------------------------------------------

    def run(self, shared: "Shared", event: "LambdaEvent[Any]") -> "dict[str, Any] | Awaitable[dict[str, Any]]":
        """Handles one request and delivers its answer.

        Returns:
            Status, PhysicalResourceId and Reason of the answer.

        Raises:
            UnmarshalError: the event is no request of CloudFormation.
            DeliveryError: the answer could not be delivered.
        """
        request: ResourceRequest[Any] = ResourceRequest(event, self._convert)
        try:
            try:
                value = self._begin(shared, request)
                if _is_awaitable(value):
                    return self._finish(request, value)
                check_interruption()
                request._answer = _success(request, value)
            except MemoryExhausted:
                raise
            except Exception as exc:
                request._answer = _failure(request, exc)
            return answer_on_purpose(_deliver(request))
        except DeliveryError:
            raise
        except BaseException as exc:
            return _last_word(request, exc)

    async def _finish(self, request: "ResourceRequest[Any]", value: "Awaitable[Any]") -> "dict[str, Any]":
        """The rest of run() when the user's method is asynchronous."""
        try:
            try:
                value = await value
                check_interruption()
                request._answer = _success(request, value)
            except MemoryExhausted:
                raise
            except Exception as exc:
                request._answer = _failure(request, exc)
            return answer_on_purpose(_deliver(request))
        except DeliveryError:
            raise
        except BaseException as exc:
            if type(exc).__name__ == "CancelledError" and _must_end():
                exc = InvocationTimeout("The handler was cancelled: the function's time is nearly over")
            return _last_word(request, exc)

    def _begin(self, shared: "Any", request: "ResourceRequest[Any]") -> "Any":
        """Calls the user's method."""
        if request.request_type == "Delete" and str(request.physical_id).startswith(NOT_CREATED):
            return None  # it never was there
        if isinstance(shared, _NoSetup):
            if self._shared is _UNSET:
                made: Any = self._setup(shared.region)
                if _is_awaitable(made):
                    return self._begin_later(request, made)
                self._shared = made
            shared = self._shared
        return self._method(request)(shared, request)

    async def _begin_later(self, request: "ResourceRequest[Any]", made: "Awaitable[Any]") -> "Any":
        self._shared = await made
        value = self._method(request)(self._shared, request)
        return await value if _is_awaitable(value) else value

    def _method(self, request: "ResourceRequest[Any]") -> "Callable[[Any, Any], Any]":
        if request.request_type == "Delete":
            return self.delete
        request.properties  # noqa: B018  what does not fit is told before anything is done
        if request.request_type == "Create":
            return self.create
        if request.request_type == "Update":
            return self.update
        raise UnmarshalError(f"Unable to unmarshal input: unknown RequestType {request.request_type[:64]!r}")

    def _try_setup(self, region: "str | None") -> "Any":
        try:
            value: Any = self._setup(region)
            return self._await_setup(region, value) if _is_awaitable(value) else value
        except BaseException as exc:
            return _setup_failed(region, exc)

    async def _await_setup(self, region: "str | None", value: "Awaitable[Any]") -> "Any":
        try:
            return await value
        except BaseException as exc:
            if _must_end():
                raise
            return _setup_failed(region, exc)


def stand_in(cause: BaseException) -> "type[CustomResourceRunner[Any, Any]]":
    """The class that tells CloudFormation why there is none.

    Args:
        cause: why the module cannot be imported, or the user's class not be made.
    """

    class StandIn(CustomResourceRunner[None, dict[str, object]]):
        def setup(self, region: "str | None") -> None:
            raise cause

        def run(self, shared: None, event: "LambdaEvent[Any]") -> "Any":
            try:
                return super().run(shared, event)
            except UnmarshalError:
                raise cause from None  # another kind of event: for its caller, too, this is what went wrong

    return StandIn


def _setup_failed(region: "str | None", exc: BaseException) -> _NoSetup:
    from fastlambda.errors import ErrorReport

    ErrorReport(exc, "").log()
    return _NoSetup(region)


def _must_end() -> bool:
    """Whether the task under way has been cancelled itself, and not only what it waits for."""
    from asyncio import current_task

    task = current_task()
    return task is not None and task.cancelling() > 0


def _is_awaitable(value: object) -> bool:
    return hasattr(type(value), "__await__")


# ---- the response object ------------------------------------------------------------------------------------------


def _base(request: "ResourceRequest[Any]", status: str, physical_id: str) -> "dict[str, Any]":
    return {
        "Status": status,
        "PhysicalResourceId": physical_id,
        "StackId": request.stack_id,
        "RequestId": request.request_id,
        "LogicalResourceId": request.logical_id,
    }


def _success(request: "ResourceRequest[Any]", value: object) -> "dict[str, Any]":
    """The answer to a request that went well, if what the user returned can be told."""
    request._is_made = request.request_type == "Create"
    if value is None or request.request_type == "Delete":
        value = Resource()
    elif isinstance(value, (str, int)) and not isinstance(value, bool):
        value = Resource(value)
    elif not isinstance(value, Resource):
        raise TypeError(f"{request.request_type} returned {type(value).__name__}; Resource, str or None are expected")
    present = request.raw.get("PhysicalResourceId")
    told: Any = value.physical_id
    if request.request_type == "Create":
        physical_id = _id_of(told) or _id_of(request.physical_id) or request.default_id
        # From here on there is something that a failure must not forget.
        request.physical_id = physical_id
    elif request.request_type == "Update" and told is not None and (physical_id := _id_of(told)) != present:
        if not value.replaces:
            raise ValueError(
                "update() returned another physical id, upon which CloudFormation would delete the resource; "
                "if that is wanted, return Resource(..., replaces=True)"
            )
        if not physical_id:
            raise ValueError(f"a physical id has 1 to {MAX_PHYSICAL_ID} bytes, this one 0")
    else:
        physical_id = present or request.default_id
    answer = _base(request, "SUCCESS", physical_id)
    if value.no_echo:
        answer["NoEcho"] = True
    if value.data:
        if not hasattr(value.data, "keys"):
            raise TypeError(f"Data is an object of names and values, not {type(value.data).__name__}")
        answer["Data"] = dict(value.data)
    try:
        size = len(_encode(answer))
    except (TypeError, ValueError) as exc:
        raise type(exc)(f"Data cannot be told in JSON: {exc}") from None
    if size > MAX_BODY:
        raise ValueError(f"the answer has {size} bytes with its Data, and CloudFormation takes {MAX_BODY}")
    return answer


def _id_of(value: object) -> str:
    """A physical id as text; "" when there is none.

    Raises:
        TypeError: it is neither text nor a number.
        ValueError: CloudFormation has no such ids.
    """
    if value is None:
        return ""
    if not isinstance(value, (str, int)) or isinstance(value, bool):
        raise TypeError(f"a physical id is text or a number, not {type(value).__name__}")
    text = str(value)
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        raise ValueError("a physical id cannot have half of a surrogate pair in it") from None
    if size > MAX_PHYSICAL_ID:
        raise ValueError(f"a physical id has 1 to {MAX_PHYSICAL_ID} bytes, this one {size}")
    return text


def _id_so_far(request: "ResourceRequest[Any]") -> str:
    """What a create that failed is to be deleted by."""
    try:
        if text := _id_of(request.physical_id):
            return text
    except (TypeError, ValueError):
        return request.default_id  # something was made, which cannot be named
    return request.default_id if request._is_made else NOT_CREATED + request.default_id


def _failure(request: "ResourceRequest[Any]", exc: BaseException) -> "dict[str, Any]":
    """The answer to a request that failed; the error goes to the function's log as well."""
    from fastlambda.errors import ErrorReport

    report = ErrorReport(exc, request.ctx.aws_request_id)
    report.log()
    answer = _base(request, "FAILED", request.raw.get("PhysicalResourceId") or _id_so_far(request))
    reason = f"{report.error_type}: {report.message}"
    where = f" (log stream {request.ctx.log_stream_name})" if request.ctx.log_stream_name else ""
    answer["Reason"] = reason + where
    while len(_encode(answer)) > MAX_BODY and reason:
        reason = reason[: len(reason) * 3 // 4]
        answer["Reason"] = f"{reason}...{where}"
    return answer


def _encode(answer: "dict[str, Any]") -> bytes:
    from json import dumps

    # In JSON half of a surrogate pair can only be escaped, and "backslashreplace" writes just that.
    text = dumps(answer, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode("utf-8", "backslashreplace")


def _last_word(request: "ResourceRequest[Any]", exc: BaseException) -> "dict[str, Any]":
    """After an interruption: what was decided before it stands.  CloudFormation is told of it, so it is the answer."""
    answer_on_purpose(None)  # from here on the guard interrupts no more
    if request._answer is None:
        request._answer = _failure(request, exc)
        if isinstance(exc, MemoryExhausted):
            from traceback import clear_frames

            clear_frames(exc.__traceback__)  # what the user's code holds is what memory was used for
    return answer_on_purpose(_deliver(request))


# ---- delivery -----------------------------------------------------------------------------------------------------


def _deliver(request: "ResourceRequest[Any]") -> "dict[str, Any]":
    """PUTs the answer, again and again while there is time: it is the same each time, and CloudFormation takes one.

    Raises:
        DeliveryError: it was refused, or time ran out.
    """
    import time

    from fastlambda.upload import BadUrl, put

    answer = request._answer
    assert answer is not None
    body = _encode(answer)
    # The last moments are for telling Lambda that it did not work.
    left = request.ctx.get_remaining_time_in_millis() / 1000 if request.ctx.deadline else ATTEMPT_S
    end = time.monotonic() + max(left - TO_TELL_S, left / 2)
    pause, seen = 0.05, "no time was left"
    while True:
        left = end - time.monotonic()
        if left <= 0:
            raise DeliveryError(f"the answer to {request!r} was not delivered in time; last: {seen}")
        try:
            http_status = put(request.raw["ResponseURL"], body, min(left, ATTEMPT_S))
        except BadUrl as exc:
            raise DeliveryError(f"the answer to {request!r} cannot be delivered: ResponseURL {exc}") from None
        except OSError as exc:
            seen = f"{type(exc).__name__} {exc.errno}"
        else:
            if 200 <= http_status < 300:
                return {k: answer[k] for k in ("Status", "PhysicalResourceId", "Reason") if k in answer}
            seen = f"status {http_status}"
            if http_status < 500 and http_status not in (408, 429):
                moved = ", a redirect, which is not followed" if 300 <= http_status < 400 else ""
                raise DeliveryError(f"the answer to {request!r} was refused with status {http_status}{moved}")
        from random import uniform

        time.sleep(min(uniform(pause / 2, pause), max(0.0, end - time.monotonic())))
        pause = min(2 * pause, 2.0)
