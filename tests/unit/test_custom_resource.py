"""Custom resources: one answer for each request, whatever happens, and no resource deleted by accident."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import math
from collections.abc import Callable
from typing import Any

import pytest
from response_url import SECRET, ResponseUrl, request

from fastlambda import InvocationTimeout, MemoryExhausted, exec_test
from fastlambda.custom_resource import (
    MAX_BODY,
    NOT_CREATED,
    CustomResourceRunner,
    DeliveryError,
    Resource,
    ResourceRequest,
)
from fastlambda.errors import UnmarshalError


@dataclasses.dataclass
class Properties:
    Size: int
    Encrypted: bool = False
    Tags: list[str] = dataclasses.field(default_factory=list)


CIRCLE: dict[str, Any] = {}
CIRCLE["a"] = CIRCLE
DEEP: list[Any] = []
for _ in range(100_000):
    DEEP = [DEEP]

Method = Callable[[Any, ResourceRequest[Any]], Any]


def runner(method: Method, declared: Any = Properties, setup: Any = None) -> type:
    """A Runner all of whose methods are `method`."""

    class Thing(CustomResourceRunner[None, declared]):  # type: ignore[valid-type]
        def setup(self, region: str | None) -> Any:
            return setup(region) if setup else "shared"

        def create(self, shared: Any, request: ResourceRequest[Any]) -> Any:
            return method(shared, request)

        update = delete = create

    return Thing


def answer_to(method: Method, request_type: str = "Create", declared: Any = Properties, **more: Any) -> dict[str, Any]:
    with ResponseUrl() as there:
        exec_test(runner(method, declared), {"region": "r", "invocations": [request(there.url, request_type, **more)]})
        assert len(there.puts) == 1
        return there.answer


def test_a_success_has_all_that_cloudformation_wants() -> None:
    assert answer_to(lambda shared, request: Resource("id-1", {"Arn": "arn", "N": 1})) == {
        "Status": "SUCCESS",
        "PhysicalResourceId": "id-1",
        "StackId": "arn:aws:cloudformation:eu-central-1:123456789012:stack/shop/8a1b2c3d",
        "RequestId": "5478764d-b2a6-4dd8-9d0f-1f2e3d4c5b6a",
        "LogicalResourceId": "Thing",
        "Data": {"Arn": "arn", "N": 1},
    }


def test_the_put_has_the_signed_path_and_no_content_type() -> None:
    with ResponseUrl() as there:
        exec_test(runner(lambda shared, request: None), {"invocations": [request(there.url)]})
        ((path, headers, _),) = there.puts
    assert path == f"/stack/answer?{SECRET}"
    assert "content-type" not in headers


def test_no_echo_is_passed_on() -> None:
    assert answer_to(lambda shared, request: Resource("i", {"a": "b"}, no_echo=True))["NoEcho"] is True
    assert "NoEcho" not in answer_to(lambda shared, request: Resource("i"))


def test_half_of_a_surrogate_pair_in_data_stays_what_it_is() -> None:
    with ResponseUrl() as there:
        exec_test(runner(lambda s, r: Resource("i", {"a\udc00": "\ud800 日"})), {"invocations": [request(there.url)]})
        ((_, _, body),) = there.puts
    assert json.loads(body.decode())["Data"] == {"a\udc00": "\ud800 日"}


def test_properties_are_decoded_from_text() -> None:
    seen: list[Any] = []

    def keep(shared: Any, request: ResourceRequest[Any]) -> None:
        seen.append((request.properties, request.old_properties, request.physical_id, request.region, shared))

    properties = {"ServiceToken": "x", "ServiceTimeout": "60", "Size": "5", "Encrypted": "true", "Tags": ["a"]}
    answer_to(keep, "Update", ResourceProperties=properties)
    assert seen == [(Properties(5, True, ["a"]), Properties(4), "thing-1", "r", "shared")]


def test_plain_properties_are_as_they_came_without_cloudformations_own() -> None:
    seen: list[Any] = []
    answer_to(lambda shared, request: seen.append(request.properties), declared=dict)
    assert seen == [{"Size": "5"}]


PHYSICAL_IDS = {
    "create: given as text": ("Create", "id-1", "id-1"),
    "create: given": ("Create", Resource("id-1"), "id-1"),
    "create: made": ("Create", None, "shop-Thing-5478764d-b2a6-4dd8-9d0f-1f2e3d4c5b6a"),
    "create: a number": ("Create", Resource(12345), "12345"),  # type: ignore[arg-type]
    "create: a number alone": ("Create", 12345, "12345"),
    "create: nothing, as text": ("Create", "", "shop-Thing-5478764d-b2a6-4dd8-9d0f-1f2e3d4c5b6a"),
    "update: kept": ("Update", None, "thing-1"),
    "update: kept with data": ("Update", Resource(data={"a": 1}), "thing-1"),
    "update: the same": ("Update", "thing-1", "thing-1"),
    "update: replaced on purpose": ("Update", Resource("thing-2", replaces=True), "thing-2"),
    "delete: whatever is returned": ("Delete", {"ResponseMetadata": {}}, "thing-1"),
}


@pytest.mark.parametrize(("request_type", "value", "physical_id"), PHYSICAL_IDS.values(), ids=PHYSICAL_IDS)
def test_the_physical_id_follows_the_rules(request_type: str, value: object, physical_id: str) -> None:
    answer = answer_to(lambda shared, request: value, request_type)
    assert (answer["Status"], answer["PhysicalResourceId"]) == ("SUCCESS", physical_id)


def raising(exc: BaseException) -> Method:
    def method(shared: Any, request: ResourceRequest[Any]) -> None:
        raise exc

    return method


def raising_later(exc: BaseException) -> Method:
    async def method(shared: Any, request: ResourceRequest[Any]) -> None:
        await asyncio.sleep(0)
        raise exc

    return method


def created_and_failed(physical_id: Any) -> Method:
    def method(shared: Any, request: ResourceRequest[Any]) -> None:
        request.physical_id = physical_id
        raise ValueError("after the first half")

    return method


async def waiting_for_what_is_cancelled(shared: Any, request: ResourceRequest[Any]) -> None:
    waiting = asyncio.ensure_future(asyncio.sleep(3600))
    asyncio.get_running_loop().call_soon(waiting.cancel)
    await waiting


async def cancelled(shared: Any, request: ResourceRequest[Any]) -> None:
    task = asyncio.current_task()
    assert task is not None
    task.cancel()
    await asyncio.sleep(3600)


MADE = "shop-Thing-5478764d-b2a6-4dd8-9d0f-1f2e3d4c5b6a"
NOT_MADE = NOT_CREATED + MADE
FAILURES: dict[str, tuple[str, Method, dict[str, Any], str, str]] = {
    "an exception in create": ("Create", raising(ValueError("no quota")), {}, NOT_MADE, "ValueError: no quota"),
    "an exception in an asynchronous create": ("Create", raising_later(OSError("x")), {}, NOT_MADE, "OSError: x"),
    "an exception in update": ("Update", raising(ValueError("x")), {}, "thing-1", "ValueError: x"),
    "an exception in delete": ("Delete", raising(ValueError("x")), {}, "thing-1", "ValueError: x"),
    "a create that had made something": ("Create", created_and_failed("half"), {}, "half", "after the first half"),
    "sys.exit()": ("Create", raising(SystemExit(3)), {}, NOT_MADE, "SystemExit: 3"),
    "sys.exit() later": ("Create", raising_later(SystemExit(3)), {}, NOT_MADE, "SystemExit: 3"),
    "time": ("Update", raising(InvocationTimeout("late")), {}, "thing-1", "Runtime.InvocationTimeout: late"),
    "time, later": ("Update", raising_later(InvocationTimeout("late")), {}, "thing-1", "InvocationTimeout: late"),
    "memory": ("Create", raising(MemoryExhausted("full")), {}, NOT_MADE, "Runtime.MemoryExhausted: full"),
    "what it waits for is cancelled": ("Create", waiting_for_what_is_cancelled, {}, NOT_MADE, "CancelledError: "),
    "a cancelled task": ("Create", cancelled, {}, NOT_MADE, "time is nearly over"),
    "another id without intent": ("Update", lambda s, r: "thing-2", {}, "thing-1", "replaces=True"),
    "an empty id": ("Update", lambda s, r: Resource("", replaces=True), {}, "thing-1", "1 to 1024 bytes, this one 0"),
    "a long id": ("Create", lambda s, r: "é" * 513, {}, MADE, "1 to 1024 bytes, this one 1026"),
    "an id with half of a pair": ("Create", lambda s, r: "\ud800", {}, MADE, "half of a surrogate pair"),
    "an id that is no text": ("Create", lambda s, r: Resource(b"i"), {}, MADE, "text or a number, not bytes"),
    "an id that is a bool": ("Create", lambda s, r: Resource(True), {}, MADE, "text or a number, not bool"),
    "an id that is an object": ("Update", lambda s, r: Resource(object()), {}, "thing-1", "or a number, not object"),
    "an id that was set, and is no text": ("Create", created_and_failed(b"x"), {}, MADE, "after the first half"),
    "an id that was set, and is long": ("Create", created_and_failed("x" * 1025), {}, MADE, "after the first half"),
    "an id that was set, and is a number": ("Create", created_and_failed(7), {}, "7", "after the first half"),
    "a long new id": ("Update", lambda s, r: Resource("x" * 1025, replaces=True), {}, "thing-1", "this one 1025"),
    "much data": ("Create", lambda s, r: Resource("i", {"a": "x" * 4096}), {}, "i", "CloudFormation takes 4096"),
    "data that is not JSON": ("Create", lambda s, r: Resource("i", {"a": object()}), {}, "i", "not JSON serializable"),
    "data with NaN": ("Create", lambda s, r: Resource("i", {"a": [math.nan]}), {}, "i", "cannot be told in JSON"),
    "data with Infinity": ("Update", lambda s, r: Resource(None, {"a": math.inf}), {}, "thing-1", "told in JSON"),
    "data with a key that is NaN": ("Create", lambda s, r: Resource("i", {math.nan: 1}), {}, "i", "told in JSON"),
    "data that is in itself": ("Create", lambda s, r: Resource("i", CIRCLE), {}, "i", "Circular reference"),
    "data that is deep": ("Create", lambda s, r: Resource("i", {"a": DEEP}), {}, "i", "RecursionError"),
    "data that is no object": ("Create", lambda s, r: Resource("i", [1]), {}, "i", "names and values, not list"),
    "a wrong result": ("Create", lambda s, r: {"id": 1}, {}, MADE, "returned dict; Resource, str or None"),
    "properties that are no object": (
        "Create",
        lambda s, r: None,
        {"ResourceProperties": ["a"]},
        NOT_MADE,
        "ResourceProperties is list, not an object",
    ),
    "a request type that is no text": (
        "Create",
        lambda s, r: None,
        {"RequestType": 5},
        NOT_MADE,
        "unknown RequestType",
    ),
    "wrong properties": (
        "Create",
        lambda s, r: None,
        {"ResourceProperties": {"Size": "five"}},
        NOT_MADE,
        "Expected `int`, got `str` - at `$.Size`",
    ),
    "no properties": ("Update", lambda s, r: None, {"ResourceProperties": None}, "thing-1", "missing required field"),
    "an unknown request type": ("Upsert", lambda s, r: None, {}, "thing-1", "unknown RequestType 'Upsert'"),
}


@pytest.mark.parametrize(("request_type", "method", "more", "physical_id", "reason"), FAILURES.values(), ids=FAILURES)
def test_a_failure_is_answered_with_its_reason(
    request_type: str, method: Method, more: dict[str, Any], physical_id: str, reason: str
) -> None:
    answer = answer_to(method, request_type, **more)
    assert answer["Status"] == "FAILED"
    assert answer["PhysicalResourceId"] == physical_id
    assert reason in answer["Reason"]
    assert "Data" not in answer


def test_a_delete_does_not_need_properties_that_fit() -> None:
    assert answer_to(lambda s, r: None, "Delete", ResourceProperties={"Size": "five"})["Status"] == "SUCCESS"


def test_what_was_never_created_is_deleted_without_asking() -> None:
    answer = answer_to(raising(AssertionError("nothing is there")), "Delete", PhysicalResourceId=NOT_MADE)
    assert (answer["Status"], answer["PhysicalResourceId"]) == ("SUCCESS", NOT_MADE)


def test_a_long_reason_is_shortened_to_what_cloudformation_takes() -> None:
    with ResponseUrl() as there:
        exec_test(runner(raising(ValueError("é" * 10_000))), {"invocations": [request(there.url)]})
        ((_, _, body),) = there.puts
    assert MAX_BODY // 2 < len(body) <= MAX_BODY
    assert json.loads(body)["Reason"].endswith("é...")


@pytest.mark.parametrize("is_async", [False, True], ids=["def", "async def"])
def test_a_setup_that_fails_is_answered_and_tried_again(is_async: bool) -> None:
    calls: list[int] = []

    def setup(region: str | None) -> str:
        calls.append(1)
        if len(calls) < 3:
            raise ConnectionError("no database")
        return "third time"

    async def setup_later(region: str | None) -> str:
        return setup(region)

    with ResponseUrl() as one, ResponseUrl() as two, ResponseUrl() as three:
        events = [request(there.url) for there in (one, two, three)]
        seen: list[Any] = []
        cls = runner(lambda shared, request: seen.append(shared), setup=setup_later if is_async else setup)
        exec_test(cls, {"invocations": events})
        assert one.answer["Status"] == "FAILED"
        assert "ConnectionError: no database" in one.answer["Reason"]
        assert two.answer["Status"] == three.answer["Status"] == "SUCCESS"
    assert seen == ["third time", "third time"]
    assert len(calls) == 3


# ---- delivery -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("statuses", [(500,), (503, 0, 429), (0, 0)], ids=str)
def test_the_answer_is_delivered_when_the_server_has_come_to_its_senses(statuses: tuple[int, ...]) -> None:
    with ResponseUrl(*statuses) as there:
        (told,) = exec_test(runner(lambda s, r: Resource("i", {"a": "secret"})), {"invocations": [request(there.url)]})
        assert there.answer["Status"] == "SUCCESS"
        assert len(there.puts) == len(statuses) + 1
    assert told == {"Status": "SUCCESS", "PhysicalResourceId": "i"}, "Data is for CloudFormation alone"


class Interrupted(CustomResourceRunner[None, dict[str, str]]):
    def create(self, shared: None, request: ResourceRequest[dict[str, str]]) -> Resource:
        return Resource("made")


def test_an_interruption_during_delivery_does_not_change_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    from fastlambda import upload

    put = upload.put
    calls: list[int] = []

    def interrupted(url: str, body: bytes, timeout_s: float) -> int:
        calls.append(1)
        status = put(url, body, timeout_s)
        if len(calls) == 1:
            raise InvocationTimeout("nearly over")
        return status

    monkeypatch.setattr(upload, "put", interrupted)
    with ResponseUrl() as there:
        exec_test(Interrupted, {"invocations": [request(there.url)]})
        assert there.answer["Status"] == "SUCCESS"
        assert len(there.puts) == 2


UNDELIVERABLE = {
    "refused": ((403,), None, "refused with status 403"),
    "a redirect": ((307,), None, "status 307, a redirect, which is not followed"),
    "no URL": ((), "SIGNATURE-THAT-NOBODY-MAY-SEE", "neither http nor https"),
    "another scheme": ((), f"file:///etc/passwd?{SECRET}", "neither http nor https"),
    "a port that is none": ((), f"http://127.0.0.1:x/?{SECRET}", "no URL"),
    "a line break": ((), f"http://127.0.0.1:1/?\u00a0{SECRET}", "no URL"),
}


@pytest.mark.parametrize(("statuses", "url", "words"), UNDELIVERABLE.values(), ids=UNDELIVERABLE)
def test_what_cannot_be_delivered_fails_the_invocation_and_hides_the_url(
    statuses: tuple[int, ...], url: str | None, words: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with ResponseUrl(*statuses) as there, pytest.raises(DeliveryError, match=words) as caught:
        exec_test(runner(lambda s, r: None), {"invocations": [request(url or there.url)]})
    out, err = capfd.readouterr()
    assert "SIGNATURE" not in f"{caught.value}{caught.value!r}{out}{err}"


def test_nothing_secret_is_in_logs_and_reprs(capfd: pytest.CaptureFixture[str]) -> None:
    shown: list[str] = []

    def method(shared: Any, request: ResourceRequest[Any]) -> Resource:
        shown.append(repr(request))
        made = Resource("i", {"Password": "hunter2"}, no_echo=True)
        shown.append(repr(made))
        if request.request_type == "Update":
            made.data = {"Password": "hunter2" * 1000}
        return made

    assert answer_to(method)["Data"] == {"Password": "hunter2"}
    assert answer_to(method, "Update")["Status"] == "FAILED"
    text = "".join(shown) + "".join(capfd.readouterr())
    assert "hunter2" not in text
    assert "SIGNATURE" not in text


@pytest.mark.parametrize("event", [[], {}, {"RequestType": "Create"}, {"RequestType": 1}], ids=str)
def test_what_is_no_request_fails_the_invocation(event: Any) -> None:
    with pytest.raises(UnmarshalError, match="no custom resource request"):
        exec_test(Interrupted, {"invocations": [event]})
