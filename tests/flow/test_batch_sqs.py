"""Batches through a real queue: moto's SQS, the local endpoint as Lambda, and this test as the event source mapping."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from batches import failures, sqs_record
from examples import batch_orders
from function_process import FunctionProcess

from fastlambda import exec_test

AwsClient = Callable[[str], Any]


class Mapping:
    """An event source mapping with ReportBatchItemFailures, and what becomes of each message."""

    def __init__(self, sqs: Any, queue: str, arn: str) -> None:
        self.sqs, self.queue, self.arn = sqs, queue, arn

    def poll(self, function: FunctionProcess) -> int:
        """One batch; how many messages there were."""
        got = self.sqs.receive_message(
            QueueUrl=self.queue,
            MaxNumberOfMessages=10,
            MessageSystemAttributeNames=["All"],
            MessageAttributeNames=["All"],
        ).get("Messages", [])
        if not got:
            return 0
        records = [
            sqs_record(m["MessageId"], m["Body"]) | {"attributes": m["Attributes"], "eventSourceARN": self.arn}
            for m in got
        ]
        result = function.invoke({"Records": records})
        assert result.ok, result.body
        failed = failures(result.json())
        assert set(failed) <= {m["MessageId"] for m in got}
        for message in got:
            where = {"QueueUrl": self.queue, "ReceiptHandle": message["ReceiptHandle"]}
            if message["MessageId"] in failed:
                self.sqs.change_message_visibility(**where, VisibilityTimeout=0)
            else:
                self.sqs.delete_message(**where)
        return len(got)

    def drain(self, function: FunctionProcess) -> None:
        for _ in range(60):
            if self.poll(function) == 0:
                return
        raise AssertionError("the queue does not get empty")


def queue_of(sqs: Any, name: str, attributes: dict[str, str]) -> tuple[str, str]:
    """Address and ARN of a new queue."""
    url = sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
    return url, sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]


@pytest.mark.parametrize("runner", ["Once", "OnceAsync"])
def test_each_message_of_a_queue_is_handled_and_a_poisoned_one_ends_in_the_dead_letter_queue(
    runner: str, aws_client: AwsClient, tmp_path: Path
) -> None:
    sqs = aws_client("sqs")
    dead, dead_arn = queue_of(sqs, f"dead-{runner}", {})
    redrive = json.dumps({"deadLetterTargetArn": dead_arn, "maxReceiveCount": "4"})
    queue, arn = queue_of(sqs, f"orders-{runner}", {"RedrivePolicy": redrive})
    bodies = [json.dumps({"name": f"n{i}", "fail": i % 3}) for i in range(18)]
    bodies += ["{ no JSON", json.dumps({"name": "never", "fail": 99})]
    for body in bodies:
        sqs.send_message(QueueUrl=queue, MessageBody=body)

    handled = tmp_path / "handled"
    with FunctionProcess(f"batch_functions:{runner}", tmp_path / "log", {"HANDLED": str(handled)}) as function:
        Mapping(sqs, queue, arn).drain(function)

    assert sorted(handled.read_text().split()) == sorted(f"n{i}" for i in range(18))
    got = sqs.receive_message(QueueUrl=dead, MaxNumberOfMessages=10).get("Messages", [])
    assert sorted(m["Body"] for m in got) == sorted(bodies[-2:])


def test_order_within_a_message_group_survives_failures(aws_client: AwsClient, tmp_path: Path) -> None:
    sqs = aws_client("sqs")
    queue, arn = queue_of(sqs, "orders.fifo", {"FifoQueue": "true", "VisibilityTimeout": "30"})
    for i in range(20):
        sqs.send_message(
            QueueUrl=queue,
            MessageBody=json.dumps({"name": f"{'abc'[i % 3]}{i:02}", "fail": 1 if i in (3, 4, 10, 17) else 0}),
            MessageGroupId="abc"[i % 3],
            MessageDeduplicationId=str(i),
        )
    handled = tmp_path / "handled"
    with FunctionProcess("batch_functions:Once", tmp_path / "log", {"HANDLED": str(handled)}) as function:
        Mapping(sqs, queue, arn).drain(function)

    names = handled.read_text().split()
    assert len(names) == 20
    for group in "abc":
        mine = [name for name in names if name[0] == group]
        assert mine == sorted(mine)


EXAMPLE = {
    "Records": [
        sqs_record("m1", '{"order_id": 7, "sku": "tea", "quantity": 2}'),
        sqs_record("m2", '{"order_id": 8, "sku": "tea", "quantity": "two"}'),
        sqs_record("m3", '{"order_id": 9, "sku": "cup", "quantity": 1}'),
    ]
}


def test_the_example_handles_its_batch_in_this_process(capfd: pytest.CaptureFixture[str]) -> None:
    (response,) = exec_test(batch_orders.Orders, {"invocations": [EXAMPLE]})
    assert failures(response) == ["m2"]
    out = capfd.readouterr().out
    assert "order 7: 700\n" in out
    assert "order 9: 1200\n" in out
    assert "Expected `int`, got `str` - at `$.quantity`" in out


def test_the_example_handles_its_batch_through_the_local_endpoint(tmp_path: Path) -> None:
    with FunctionProcess("examples.batch_orders:Orders", tmp_path / "log") as function:
        result = function.invoke(EXAMPLE)
        assert result.ok
        assert failures(result.json()) == ["m2"]
