"""Records as the three sources send them, for the tests of batches."""

from __future__ import annotations

import base64
from typing import Any

SQS_ARN = "arn:aws:sqs:eu-central-1:123456789012:orders"


def sqs_record(message_id: str, body: str, group: str | None = None) -> dict[str, Any]:
    """A message of a FIFO queue when it has a group, else of a standard queue."""
    record: dict[str, Any] = {
        "messageId": message_id,
        "receiptHandle": f"handle of {message_id}",
        "body": body,
        "attributes": {"ApproximateReceiveCount": "1", "SentTimestamp": "1545082650636", "SenderId": "AIDAIENQ"},
        "messageAttributes": {},
        "md5OfBody": "",
        "eventSource": "aws:sqs",
        "eventSourceARN": SQS_ARN if group is None else f"{SQS_ARN}.fifo",
        "awsRegion": "eu-central-1",
    }
    if group is not None:
        record["attributes"]["MessageGroupId"] = group
    return record


def kinesis_record(sequence_number: str, data: bytes, partition_key: str = "p") -> dict[str, Any]:
    return {
        "kinesis": {
            "kinesisSchemaVersion": "1.0",
            "partitionKey": partition_key,
            "sequenceNumber": sequence_number,
            "data": base64.b64encode(data).decode(),
            "approximateArrivalTimestamp": 1545084650.987,
        },
        "eventSource": "aws:kinesis",
        "eventVersion": "1.0",
        "eventID": f"shardId-000000000006:{sequence_number}",
        "eventName": "aws:kinesis:record",
        "invokeIdentityArn": "arn:aws:iam::123456789012:role/lambda-role",
        "awsRegion": "eu-central-1",
        "eventSourceARN": "arn:aws:kinesis:eu-central-1:123456789012:stream/lambda-stream",
    }


def dynamodb_record(
    sequence_number: str,
    new: dict[str, Any] | None,
    old: dict[str, Any] | None = None,
    keys: dict[str, Any] | None = None,
) -> dict[str, Any]:
    change: dict[str, Any] = {
        "Keys": {"id": {"S": "k"}} if keys is None else keys,
        "SequenceNumber": sequence_number,
        "SizeBytes": 26,
        "StreamViewType": "NEW_AND_OLD_IMAGES",
    }
    if new is not None:
        change["NewImage"] = new
    if old is not None:
        change["OldImage"] = old
    return {
        "eventID": f"event-{sequence_number}",
        "eventName": "REMOVE" if new is None else "INSERT" if old is None else "MODIFY",
        "eventVersion": "1.1",
        "eventSource": "aws:dynamodb",
        "awsRegion": "eu-central-1",
        "dynamodb": change,
        "eventSourceARN": "arn:aws:dynamodb:eu-central-1:123456789012:table/T/stream/2026-01-01T00:00:00.000",
    }


def failures(response: Any) -> list[str]:
    """The ids that a partial batch response names."""
    assert set(response) == {"batchItemFailures"}
    assert all(set(item) == {"itemIdentifier"} for item in response["batchItemFailures"])
    return [item["itemIdentifier"] for item in response["batchItemFailures"]]
