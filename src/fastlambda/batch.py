"""Batches from SQS, Kinesis and DynamoDB streams: one call for each record, and an answer that loses none.

Owns the reading of records, their order, and the partial batch response.
Promises: a record is reported as done only after run_record() returned for it; order is kept where the source has one.
Must not know: sockets, the other features.  asyncio is imported only for an asynchronous run_record().
Source: Lambda Developer Guide, "Partial batch response" of each of the three sources; the sources' event formats.
"""

from fastlambda.errors import InvocationTimeout, MemoryExhausted, UnmarshalError, check_interruption
from fastlambda.runner import PLAIN, Runner, subscript

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable
    from typing import Any, Generic, TypedDict, TypeVar

    from fastlambda._core import Context
    from fastlambda.runner import LambdaEvent

    Shared = TypeVar("Shared")
    Record = TypeVar("Record")

    class ItemFailure(TypedDict):
        itemIdentifier: str

    class BatchResponse(TypedDict):
        batchItemFailures: list[ItemFailure]

else:
    from fastlambda.runner import _Subscriptable

    Shared = Record = None
    Generic = {Record: _Subscriptable, (Shared, Record): object}


SOURCES = {"aws:sqs": "sqs", "aws:kinesis": "kinesis", "aws:dynamodb": "dynamodb"}


class BatchRecord(Generic[Record]):
    """One record of a batch.

    Attributes:
        data: the record's payload, decoded into the declared type: an SQS message's body, a Kinesis record's data, the
            item of a DynamoDB change (its new image; the old one of a REMOVE; its keys where the stream has no image).
        old: the item before a DynamoDB change, decoded likewise; None where there is none.
        id: what the batch response calls the record: message id or sequence number.
        source: "sqs", "kinesis" or "dynamodb".
        group: what has to stay in order: message group id (FIFO queues), partition key, the item's keys; else None.
        event_name: "INSERT", "MODIFY" or "REMOVE" for DynamoDB, else None.
        raw: the record as it came.
        region: AWS region id, or None.
        ctx: the Context of the invocation.
    """

    __slots__ = ("ctx", "data", "event_name", "group", "id", "old", "raw", "region", "source")

    data: "Record"
    old: "Record | None"

    def __init__(self, raw: "dict[str, Any]", source: str, region: "str | None", ctx: "Context") -> None:
        self.raw = raw
        self.source = source
        self.region = region
        self.ctx = ctx
        self.old = None
        self.event_name: str | None = None
        self.group: str | None = None
        if source == "sqs":
            self.id: str = raw["messageId"]
            # Standard queues may have message groups too (fair queues); they promise no order.
            if str(raw.get("eventSourceARN", "")).endswith(".fifo"):
                self.group = str(raw.get("attributes", {}).get("MessageGroupId", ""))
        elif source == "kinesis":
            self.id = raw["kinesis"]["sequenceNumber"]
            self.group = str(raw["kinesis"].get("partitionKey", ""))
        else:
            change = raw["dynamodb"]
            self.id = change["SequenceNumber"]
            self.group = repr(sorted(change.get("Keys", {}).items()))
            self.event_name = raw.get("eventName")

    def __repr__(self) -> str:
        return f"BatchRecord(source={self.source!r}, id={self.id!r})"  # no data: it ends up in logs


class BatchRunner(Runner[Shared, object, object], Generic[Shared, Record]):
    """Handles batches record by record: subclass it as `class MyRunner(BatchRunner[Shared, Record])`.

    Define `run_record`, which is `def` or `async def`, and `setup` if records share something. The event source mapping
    must have `FunctionResponseTypes: [ReportBatchItemFailures]`; without it Lambda takes every batch for done.

    A record that raises, or that does not decode, is reported as a failure and comes again. In a FIFO queue the rest of
    its message group comes again with it; in a stream all that follows does. When time or memory runs out, the records
    that are not done come again.

    Type parameters:
        Shared: what setup() returns.
        Record: what a record's payload is decoded to: `bytes` and `str` as they are, anything else from JSON.

    Attributes:
        concurrency: how many records an asynchronous run_record() works on at the same time; those of one group stay
            in order.
    """

    concurrency: int = 1

    def __init__(self) -> None:
        types = subscript(type(self), BatchRunner)
        if len(types) == 2 and types[1] is not bytes and types[1] not in PLAIN:
            from fastlambda.typed import type_arguments

            types = type_arguments(type(self), BatchRunner)
        self._decode = _decoder(types[1] if len(types) == 2 else object)

    def run_record(self, shared: "Shared", record: "BatchRecord[Record]") -> "Awaitable[None] | None":
        """Handles one record.

        Args:
            shared: what setup() returned.
            record: the record, its payload decoded as `record.data`.
        """
        raise NotImplementedError(f"{type(self).__name__} does not define run_record(shared, record)")

    def record_failed(self, shared: "Shared", record: "BatchRecord[Record]", exc: BaseException) -> None:
        """Told of each record that failed; writes the error to the function's log unless overridden.

        Args:
            shared: what setup() returned.
            record: the record; `data` is missing when it did not decode.
            exc: what run_record() or the decoding raised.
        """
        from fastlambda.errors import ErrorReport

        report = ErrorReport(exc, record.ctx.aws_request_id)
        report.message = f"{record!r} is reported as failed: {report.message}"
        report.log()

    def run(self, shared: "Shared", event: "LambdaEvent[Any]") -> "BatchResponse | Awaitable[BatchResponse]":
        """Handles one batch; run_record() is what a subclass defines.

        Returns:
            The partial batch response.

        Raises:
            UnmarshalError: the event is no batch of SQS, Kinesis or DynamoDB records.
        """
        batch = Batch(_records(event))
        try:
            for i in range(len(batch.records)):
                if not batch.start(i):
                    continue
                try:
                    self._decode(batch.records[i])
                    under_way = self.run_record(shared, batch.records[i])
                    if under_way is not None and hasattr(type(under_way), "__await__"):
                        return self._go_on(shared, batch, i, under_way)
                    check_interruption()
                    batch.done(i)
                except MemoryExhausted:
                    raise  # an Exception, but not this record's
                except Exception as exc:
                    self._failed(shared, batch, i, exc)
            return batch.response()
        except (InvocationTimeout, MemoryExhausted) as exc:
            batch.interrupt(exc)
            return exc.answer(batch.response())  # what is done is done, and the rest comes again

    def _failed(self, shared: "Shared", batch: "Batch", i: int, exc: BaseException) -> None:
        batch.failed(i)
        try:
            self.record_failed(shared, batch.records[i], exc)
        except MemoryExhausted:
            raise
        except Exception as broken:
            from fastlambda.errors import complain

            complain(f"record_failed() raised {type(broken).__name__}: {broken}")

    async def _go_on(
        self, shared: "Shared", batch: "Batch", first: int, under_way: "Awaitable[None]"
    ) -> "BatchResponse":
        """The rest of a batch once run_record() has turned out to be asynchronous."""
        from asyncio import CancelledError, create_task, wait

        async def one(i: int) -> None:
            try:
                waiting: Awaitable[None] | None = under_way
                if i != first:
                    self._decode(batch.records[i])
                    waiting = self.run_record(shared, batch.records[i])
                if waiting is not None and hasattr(type(waiting), "__await__"):
                    await waiting
                check_interruption()
                batch.done(i)
            except (InvocationTimeout, MemoryExhausted) as exc:
                batch.interrupt(exc)  # before any other worker takes a turn
                raise
            except (Exception, CancelledError) as exc:
                if isinstance(exc, CancelledError) and batch.interrupted_by is not None:
                    raise
                self._failed(shared, batch, i, exc)

        lanes = iter(batch.lanes(self.concurrency))

        async def work() -> None:
            for lane in lanes:
                for i in lane:
                    if i == first or batch.start(i):
                        await one(i)

        interruption: Any = None
        workers = [create_task(work()) for _ in range(max(1, min(self.concurrency, len(batch.records))))]
        try:
            ended, _ = await wait(workers, return_when="FIRST_EXCEPTION")
            for worker in ended:
                await worker
        except (CancelledError, InvocationTimeout, MemoryExhausted) as exc:
            # The guard cancels an asynchronous handler; what is done is done, and the rest comes again.
            batch.interrupt(exc)
            if isinstance(exc, (InvocationTimeout, MemoryExhausted)):
                interruption = exc
        except BaseException:
            batch.interrupt(None)
            raise
        finally:
            pending = [worker for worker in workers if not worker.done()]
            for worker in pending:
                worker.cancel()
            if pending:
                # One turn for their clean-up and no more: little time is left.
                await wait(pending, timeout=0)
            for worker in workers:
                if worker.done() and not worker.cancelled():
                    worker.exception()  # taken note of: asyncio would complain about it later
        response = batch.response()
        return response if interruption is None else interruption.answer(response)


class Batch:
    """What has become of the records of one batch.

    Args:
        records: in the order in which they came.
    """

    def __init__(self, records: "list[BatchRecord[Any]]") -> None:
        self.records = records
        self.is_stream = bool(records) and records[0].source != "sqs"
        self.interrupted_by: BaseException | None = None
        self._is_started = [False] * len(records)
        self._is_done = [False] * len(records)
        self._failed_groups: set[str | None] = set()
        # In a stream, what follows a failure comes again in any case: it is not started.
        self._end = len(records)

    def start(self, i: int) -> bool:
        """Whether a record's turn has come, which it does once: nothing that it has to wait for has failed."""
        group = self.records[i].group
        if self._is_started[i] or self.interrupted_by is not None or i >= self._end or group in self._failed_groups:
            return False
        self._is_started[i] = True
        return True

    def lanes(self, concurrency: int) -> "Iterable[list[int]]":
        """Numbers of the records in runs that have to stay in order; the runs may go side by side."""
        if concurrency <= 1:
            return [list(range(len(self.records)))]
        lanes: dict[object, list[int]] = {}
        for i, record in enumerate(self.records):
            lanes.setdefault(i if record.group is None else record.group, []).append(i)
        return lanes.values()

    def done(self, i: int) -> None:
        self._is_done[i] = True

    def failed(self, i: int) -> None:
        group = self.records[i].group
        if self.is_stream:
            self._end = min(self._end, i)
        elif group is not None:
            self._failed_groups.add(group)

    def interrupt(self, exc: "BaseException | None") -> None:
        """Nothing more is started: time or memory has run out."""
        if self.interrupted_by is not None:
            return
        from fastlambda.errors import complain

        self.interrupted_by = exc if exc is not None else InvocationTimeout()
        if exc is not None:
            n_done = sum(self._is_done)
            complain(f"{type(exc).__name__}: {n_done} of {len(self.records)} records were done, the others come again")

    def response(self) -> "BatchResponse":
        """The partial batch response: all records that are not done, or where a stream has to go on."""
        failures: list[ItemFailure] = [
            {"itemIdentifier": record.id}
            for record, is_done in zip(self.records, self._is_done, strict=True)
            if not is_done
        ]
        # Lambda goes back to the lowest sequence number that is named.
        return {"batchItemFailures": failures[:1] if self.is_stream else failures}


# ---- reading records ----------------------------------------------------------------------------------------------


def _records(event: "LambdaEvent[Any]") -> "list[BatchRecord[Any]]":
    """The records of an event.

    Raises:
        UnmarshalError: the event is no batch that is known here.
    """
    body = event.event
    listed = body.get("Records") if isinstance(body, dict) else None
    if not isinstance(listed, list):
        raise UnmarshalError("Unable to unmarshal input: the event is no batch: it has no list `Records`")
    records: list[BatchRecord[Any]] = []
    for n, raw in enumerate(listed):
        name = raw.get("eventSource") if isinstance(raw, dict) else None
        source = SOURCES.get(name) if isinstance(name, str) else None
        if source is None or (records and source != records[0].source):
            raise UnmarshalError(
                f"Unable to unmarshal input: `Records[{n}].eventSource` is {name!r}; "
                f"a batch is of one of {list(SOURCES)}"
            )
        try:
            record: BatchRecord[Any] = BatchRecord(raw, source, event.region, event.ctx)
        except (KeyError, TypeError, AttributeError) as exc:
            # Without its id a record cannot be reported, so the whole batch has to come again.
            raise UnmarshalError(f"Unable to unmarshal input: `Records[{n}]` has no {exc}") from None
        if not (isinstance(record.id, str) and record.id):
            raise UnmarshalError(f"Unable to unmarshal input: `Records[{n}]` has no id that can be reported")
        records.append(record)
    return records


def _decoder(declared: "Any") -> "Callable[[BatchRecord[Any]], None]":
    """What sets `data` of a record; it raises UnmarshalError."""
    from json import loads

    decode: Callable[[bytes], Any] | None = None
    if declared is not bytes and declared not in PLAIN:
        from fastlambda.typed import decoder

        decode = decoder(declared)

    def payload(body: bytes) -> object:
        if declared is bytes:
            return body
        try:
            if declared is str:
                return body.decode("utf-8", "surrogatepass")
            return loads(body) if decode is None else decode(body)
        except (ValueError, RecursionError) as exc:
            raise UnmarshalError(f"Unable to unmarshal record: {exc}") from None

    def item(image: "dict[str, Any]") -> object:
        try:
            return _plain(image) if decode is None else decode(_json({"M": image}).encode("utf-8", "surrogatepass"))
        except (ValueError, ArithmeticError, TypeError, AttributeError, RecursionError) as exc:
            raise UnmarshalError(f"Unable to unmarshal record: not an item of DynamoDB: {exc}") from None

    def decode_record(record: "BatchRecord[Any]") -> None:
        if record.source == "sqs":
            body = record.raw.get("body")
            if not isinstance(body, str):
                raise UnmarshalError("Unable to unmarshal record: it has no `body`")
            record.data = payload(body.encode("utf-8", "surrogatepass"))
        elif record.source == "kinesis":
            from binascii import a2b_base64

            try:
                data = a2b_base64(record.raw["kinesis"]["data"])
            except (ValueError, KeyError, TypeError) as exc:
                raise UnmarshalError(f"Unable to unmarshal record: its data is not base64: {exc}") from None
            record.data = payload(data)
        else:
            change = record.raw["dynamodb"]
            old, new = change.get("OldImage"), change.get("NewImage")
            record.old = None if old is None else item(old)
            if new is not None:
                record.data = item(new)
            else:
                record.data = item(change.get("Keys", {})) if old is None else record.old

    return decode_record


def _number(text: str) -> "Any":
    """An int where the text is one, else a Decimal: DynamoDB's numbers have 38 digits, floats have 16."""
    if text.removeprefix("-").isdecimal():
        return int(text)
    from decimal import Decimal

    number = Decimal(text)
    if not number.is_finite():
        raise ValueError(f"{text} is no number")
    return number


def _only(attribute: "dict[str, Any]") -> "tuple[str, Any]":
    if len(attribute) != 1:
        raise ValueError(f"an attribute has {len(attribute)} types")
    return next(iter(attribute.items()))


def _plain(item: "dict[str, Any]") -> "dict[str, Any]":
    """An item as Python values, as boto3 makes them, but for integers, which are int."""
    return {name: _value(attribute) for name, attribute in item.items()}


def _value(attribute: "dict[str, Any]") -> "Any":
    kind, value = _only(attribute)
    match kind:
        case "S" | "BOOL":
            return value
        case "N":
            return _number(value)
        case "NULL":
            return None
        case "M":
            return _plain(value)
        case "L":
            return [_value(member) for member in value]
        case "SS":
            return set(value)
        case "NS":
            return {_number(text) for text in value}
        case "B" | "BS":
            from binascii import a2b_base64

            return a2b_base64(value) if kind == "B" else {a2b_base64(text) for text in value}
    raise ValueError(f"unknown type {kind!r}")


def _json(attribute: "dict[str, Any]") -> str:
    """An attribute as JSON for a declared type: numbers with all their digits, sets as lists, binary as base64."""
    from json import dumps

    kind, value = _only(attribute)
    match kind:
        case "S" | "B" | "BOOL" | "SS" | "BS":
            return dumps(value)
        case "N":
            return str(_number(value))
        case "NULL":
            return "null"
        case "M":
            return "{" + ",".join(f"{dumps(name)}:{_json(member)}" for name, member in value.items()) + "}"
        case "L":
            return "[" + ",".join(map(_json, value)) + "]"
        case "NS":
            return "[" + ",".join(str(_number(text)) for text in value) + "]"
    raise ValueError(f"unknown type {kind!r}")
