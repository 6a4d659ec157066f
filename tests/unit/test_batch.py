"""Batches: what becomes of each record, whatever fails, in whatever order, with time running out at any point."""

from __future__ import annotations

import asyncio
import dataclasses
import decimal
import json
from typing import Any

import pytest
from batches import dynamodb_record, failures, kinesis_record, sqs_record
from hypothesis import given, settings
from hypothesis import strategies as st

from fastlambda import InvocationTimeout, MemoryExhausted, exec_test
from fastlambda.batch import BatchRecord, BatchRunner
from fastlambda.errors import UnmarshalError


def run_one(cls: type, *records: dict[str, Any]) -> list[str]:
    return failures(exec_test(cls, {"region": "eu-central-1", "invocations": [{"Records": list(records)}]})[0])


# ---- order and loss, for any batch --------------------------------------------------------------------------------

OUTCOMES = ("ok", "ok", "ok", "ok", "raise", "undecodable", "timeout", "memory")


@st.composite
def batches(draw: st.DrawFn) -> tuple[str, list[tuple[str, str, int]], int, str]:
    """Source; (group, outcome, turns of the event loop) for each record; concurrency; how run_record is defined."""
    source = draw(st.sampled_from(["standard", "fifo", "kinesis", "dynamodb"]))
    record = st.tuples(st.sampled_from("abc"), st.sampled_from(OUTCOMES), st.integers(0, 3))
    records = draw(st.lists(record, max_size=8))
    return source, records, draw(st.integers(0, 4)), draw(st.sampled_from(["def", "async def", "mixed"]))


def event_of(source: str, records: list[tuple[str, str, int]]) -> dict[str, Any]:
    listed = []
    for i, (group, outcome, _) in enumerate(records):
        body = "{" if outcome == "undecodable" else str(i)
        if source == "standard":
            listed.append(sqs_record(f"id{i}", body))
        elif source == "fifo":
            listed.append(sqs_record(f"id{i}", body, group))
        elif source == "kinesis":
            listed.append(kinesis_record(f"id{i}", body.encode(), group))
        else:
            value = {"N": "many"} if outcome == "undecodable" else {"N": str(i)}
            listed.append(dynamodb_record(f"id{i}", {"n": value}, keys={"id": {"S": group}}))
    return {"Records": listed}


@settings(max_examples=300, deadline=None)
@given(batches())
def test_no_record_is_lost_and_order_is_kept(batch: tuple[str, list[tuple[str, str, int]], int, str]) -> None:
    source, records, bound, form = batch
    log: list[tuple[str, int]] = []  # (start or end or fail, number of the record)

    def finish(i: int) -> None:
        outcome = records[i][1]
        if outcome == "ok":
            log.append(("done", i))
            return
        log.append(("fail", i))
        raise {"raise": ValueError("as asked"), "timeout": InvocationTimeout(), "memory": MemoryExhausted()}[outcome]

    async def later(i: int) -> None:
        for _ in range(records[i][2]):
            await asyncio.sleep(0)
        finish(i)

    class Checked(BatchRunner[None, Any]):
        concurrency = bound

        def run_record(self, shared: None, record: BatchRecord[Any]) -> Any:
            i = record.data["n"] if source == "dynamodb" else record.data
            assert record.id == f"id{i}"
            log.append(("start", i))
            if form == "async def" or (form == "mixed" and i % 2):
                return later(i)
            finish(i)
            return None

        def record_failed(self, shared: None, record: BatchRecord[Any], exc: BaseException) -> None:
            if not hasattr(record, "data"):
                log.append(("fail", int(record.id[2:])))

    reported = [int(name[2:]) for name in run_one(Checked, *event_of(source, records)["Records"])]

    numbers = range(len(records))
    started = [i for what, i in log if what == "start"]
    done = {i for what, i in log if what == "done"}
    assert len(started) == len(set(started)), "no record is handled twice"
    assert len(reported) == len(set(reported))

    # What is not done comes again, and nothing is taken for done that is not.
    not_done = [i for i in numbers if i not in done]
    if source in ("kinesis", "dynamodb"):
        assert reported == not_done[:1]
    else:
        assert reported == not_done

    # Order: a group's records are handled one after the other, in order, and none after a failure of the group's.
    def group(i: int) -> str | int:
        return i if source == "standard" else records[i][0]

    under_way: set[int] = set()
    failed: set[str | int] = set()
    last: dict[str | int, int] = {}
    first_failure = len(records)
    for what, i in log:
        if what == "start":
            assert group(i) not in {group(j) for j in under_way}
            assert group(i) not in failed
            assert last.get(group(i), -1) < i
            if source in ("kinesis", "dynamodb"):
                assert i < first_failure, "nothing of a stream is started that comes after its checkpoint"
            last[group(i)] = i
            under_way.add(i)
            assert len(under_way) <= max(1, bound)
        else:
            under_way.discard(i)
            if what == "fail":
                failed.add(group(i))
                first_failure = min(first_failure, i)

    if not any(kind in ("timeout", "memory") for _, kind, _ in records):
        expected = {
            "standard": {i for i in numbers if records[i][1] == "ok"},
            "fifo": {
                i
                for i in numbers
                if all(records[j][1] == "ok" for j in numbers if j <= i and records[j][0] == records[i][0])
            },
        }
        assert done >= expected.get(source, set(range(first_failure))), "nothing is left undone without a reason"


class Ends(BatchRunner[None, int]):
    def run_record(self, shared: None, record: BatchRecord[int]) -> None:
        if record.data < 0:
            raise SystemExit(3)


def test_a_handler_that_asks_to_leave_fails_the_whole_batch() -> None:
    with pytest.raises(SystemExit):
        run_one(Ends, sqs_record("a", "1"), sqs_record("b", "-1"))


class Waits(BatchRunner[None, int]):
    concurrency = 2

    async def run_record(self, shared: None, record: BatchRecord[int]) -> None:
        if record.data == 0:
            await asyncio.get_running_loop().create_future()
        if record.data == 3:
            asyncio.get_running_loop().call_soon(_cancel_batch)
            await asyncio.get_running_loop().create_future()


def _cancel_batch() -> None:
    (task,) = (t for t in asyncio.all_tasks() if "work" not in repr(t.get_coro()))
    task.cancel()


def test_a_cancelled_batch_reports_what_is_not_done(capfd: pytest.CaptureFixture[str]) -> None:
    assert run_one(Waits, *(sqs_record(f"m{i}", str(i)) for i in range(6))) == ["m0", "m3", "m4", "m5"]
    assert "CancelledError: 2 of 6 records were done, the others come again" in capfd.readouterr().err


class CancelsItself(BatchRunner[None, int]):
    async def run_record(self, shared: None, record: BatchRecord[int]) -> None:
        if record.data == 1:
            raise asyncio.CancelledError


def test_a_record_that_cancels_itself_is_a_failure_of_that_record() -> None:
    assert run_one(CancelsItself, *(sqs_record(f"m{i}", str(i)) for i in range(3))) == ["m1"]


# ---- payloads -----------------------------------------------------------------------------------------------------


@dataclasses.dataclass
class Item:
    id: str
    price: decimal.Decimal = decimal.Decimal(0)
    tags: frozenset[str] = frozenset()
    blob: bytes = b""
    counts: dict[str, int] = dataclasses.field(default_factory=dict)
    note: str | None = None


def collect(declared: Any, *records: dict[str, Any]) -> list[BatchRecord[Any]]:
    seen: list[BatchRecord[Any]] = []

    class Collects(BatchRunner[None, declared]):  # type: ignore[valid-type]
        def run_record(self, shared: None, record: BatchRecord[Any]) -> None:
            seen.append(record)

    assert run_one(Collects, *records) == []
    return seen


IMAGE = {
    "id": {"S": "x"},
    "price": {"N": "12345678901234567890.123456789"},
    "tags": {"SS": ["a", "b"]},
    "blob": {"B": "AAH/"},
    "counts": {"M": {"a": {"N": "1"}}},
    "note": {"NULL": True},
}
ITEM = Item(
    "x", decimal.Decimal("12345678901234567890.123456789"), frozenset({"a", "b"}), b"\x00\x01\xff", {"a": 1}, None
)

PAYLOADS = {
    "JSON of SQS": (dict, sqs_record("m", '{"a": [1, "é"]}'), {"a": [1, "é"]}),
    "text of SQS": (str, sqs_record("m", "not {JSON"), "not {JSON"),
    "bytes of SQS": (bytes, sqs_record("m", "é"), "é".encode()),
    "dataclass from SQS": (Item, sqs_record("m", '{"id": "x"}'), Item("x")),
    "JSON of Kinesis": (object, kinesis_record("1", b'{"a": 1}'), {"a": 1}),
    "bytes of Kinesis": (bytes, kinesis_record("1", b"\x00\xff"), b"\x00\xff"),
    "dataclass from Kinesis": (Item, kinesis_record("1", b'{"id": "x"}'), Item("x")),
    "dataclass from DynamoDB": (Item, dynamodb_record("1", IMAGE), ITEM),
    "plain item of DynamoDB": (
        dict,
        dynamodb_record(
            "1", {**IMAGE, "l": {"L": [{"BOOL": True}, {"N": "-7"}, {"NS": ["1", "2.5"]}, {"BS": ["AA=="]}]}}
        ),
        {
            "id": "x",
            "price": decimal.Decimal("12345678901234567890.123456789"),
            "tags": {"a", "b"},
            "blob": b"\x00\x01\xff",
            "counts": {"a": 1},
            "note": None,
            "l": [True, -7, {1, decimal.Decimal("2.5")}, {b"\x00"}],
        },
    ),
    "keys of DynamoDB where there is no image": (dict, dynamodb_record("1", None), {"id": "k"}),
    "the old image of what was removed": (dict, dynamodb_record("1", None, {"id": {"S": "o"}}), {"id": "o"}),
}


@pytest.mark.parametrize(("declared", "record", "data"), PAYLOADS.values(), ids=PAYLOADS)
def test_a_record_is_decoded_into_the_declared_type(declared: Any, record: dict[str, Any], data: object) -> None:
    (seen,) = collect(declared, record)
    assert seen.data == data
    assert type(seen.data) is type(data)
    assert seen.raw == json.loads(json.dumps(record))
    assert seen.region == "eu-central-1"
    assert seen.ctx.aws_request_id == "test-1"


def test_a_change_of_dynamodb_has_its_old_item_and_its_name() -> None:
    old = {"id": {"S": "before"}}
    (seen,) = collect(Item, dynamodb_record("7", {"id": {"S": "after"}}, old))
    assert (seen.data, seen.old, seen.event_name, seen.id) == (Item("after"), Item("before"), "MODIFY", "7")


def test_groups_of_a_standard_queue_promise_no_order() -> None:
    record = sqs_record("m", "1")
    record["attributes"]["MessageGroupId"] = "tenant"
    (seen,) = collect(int, record)
    assert seen.group is None


UNDECODABLE = {
    "no JSON": (dict, sqs_record("m", "{")),
    "another type": (Item, sqs_record("m", '{"id": 7}')),
    "no body": (dict, {k: v for k, v in sqs_record("m", "").items() if k != "body"}),
    "no UTF-8": (str, kinesis_record("m", b"\xff")),
    "no base64": (bytes, kinesis_record("m", b"") | {"kinesis": {"sequenceNumber": "m", "data": "a"}}),
    "no number": (dict, dynamodb_record("m", {"n": {"N": "Infinity"}})),
    "a type that DynamoDB does not have": (dict, dynamodb_record("m", {"n": {"X": 1}})),
    "a dataclass without its field": (Item, dynamodb_record("m", {"n": {"N": "1"}})),
}


@pytest.mark.parametrize(("declared", "record"), UNDECODABLE.values(), ids=UNDECODABLE)
def test_a_record_that_does_not_decode_fails_alone(
    declared: Any, record: dict[str, Any], capfd: pytest.CaptureFixture[str]
) -> None:
    class Never(BatchRunner[None, declared]):  # type: ignore[valid-type]
        def run_record(self, shared: None, record: BatchRecord[Any]) -> None:
            raise AssertionError("it has no data")

    assert run_one(Never, record) == ["m"]
    out = capfd.readouterr().out
    assert "[ERROR] Runtime.UnmarshalError: BatchRecord(source=" in out
    assert "id='m') is reported as failed: Unable to unmarshal" in out


class Raises(BatchRunner[None, dict[str, str]]):
    def run_record(self, shared: None, record: BatchRecord[dict[str, str]]) -> None:
        raise ValueError("no such customer")


def test_a_failure_is_logged_with_the_record_and_without_its_data(capfd: pytest.CaptureFixture[str]) -> None:
    assert run_one(Raises, sqs_record("m-17", '{"card": "4111"}')) == ["m-17"]
    out = capfd.readouterr().out
    assert "ValueError: BatchRecord(source='sqs', id='m-17') is reported as failed: no such customer" in out
    assert "in run_record" in out
    assert "4111" not in out


class BrokenReport(Raises):
    def record_failed(self, shared: None, record: BatchRecord[Any], exc: BaseException) -> None:
        raise KeyError("in the report")


def test_a_report_that_fails_does_not_lose_the_batch(capfd: pytest.CaptureFixture[str]) -> None:
    assert run_one(BrokenReport, sqs_record("a", "1"), sqs_record("b", "2")) == ["a", "b"]
    assert "record_failed() raised KeyError" in capfd.readouterr().err


NO_BATCH = {
    "no object": [],
    "no records": {"Records": None},
    "an unknown source": {"Records": [{"eventSource": "aws:s3"}]},
    "no source": {"Records": [1]},
    "two sources": {"Records": [sqs_record("a", "1"), kinesis_record("1", b"1")]},
    "no id": {"Records": [{"eventSource": "aws:sqs", "body": "1"}]},
    "an empty id": {"Records": [sqs_record("", "1")]},
    "no change": {"Records": [{"eventSource": "aws:dynamodb", "dynamodb": None}]},
}


@pytest.mark.parametrize("event", NO_BATCH.values(), ids=NO_BATCH)
def test_what_is_no_batch_fails_as_a_whole(event: Any) -> None:
    with pytest.raises(UnmarshalError):
        exec_test(Raises, {"invocations": [event]})


def test_an_empty_batch_has_no_failures() -> None:
    assert run_one(Raises) == []
