"""Event types of other packages as a Runner's Event, in this process and through the local endpoint."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
from examples import event_types
from function_process import FunctionProcess

from fastlambda import exec_test
from fastlambda.errors import UnmarshalError

# As S3 sends it.
EVENT: dict[str, Any] = {
    "Records": [
        {
            "eventVersion": "2.1",
            "eventSource": "aws:s3",
            "awsRegion": "us-east-2",
            "eventTime": "2019-09-03T19:37:27.192Z",
            "eventName": "ObjectCreated:Put",
            "userIdentity": {"principalId": "AWS:AIDAINPONIXQXHT3IKHL2"},
            "requestParameters": {"sourceIPAddress": "205.255.255.255"},
            "responseElements": {
                "x-amz-request-id": "D82B88E5F771F645",
                "x-amz-id-2": "vlR7PnpV2Ce81l0PRw6jlUpck7Jo5Z",
            },
            "s3": {
                "s3SchemaVersion": "1.0",
                "configurationId": "828aa6fc-f7b5-4305-8584-487c791949c1",
                "bucket": {
                    "name": "lambda-artifacts",
                    "ownerIdentity": {"principalId": "A3I5XTEXAMAI3E"},
                    "arn": "arn:aws:s3:::lambda-artifacts",
                },
                "object": {
                    "key": "b21b84d653bb07b05b1e6b33684dc11b",
                    "size": 1305107,
                    "eTag": "b21b84d653bb07b05b1e6b33684dc11b",
                    "sequencer": "0C0F6F405D6ED209E1",
                },
            },
        }
    ]
}
RUNNERS = [event_types.WithPowertools, event_types.WithTypedDicts]


def with_size(size: object) -> dict[str, Any]:
    event = copy.deepcopy(EVENT)
    event["Records"][0]["s3"]["object"]["size"] = size
    return event


@pytest.mark.parametrize("runner", RUNNERS)
def test_an_event_is_decoded_into_the_packages_type(runner: Any) -> None:
    assert exec_test(runner, {"invocations": [EVENT]}) == [["lambda-artifacts/b21b84d653bb07b05b1e6b33684dc11b"]]


@pytest.mark.parametrize("runner", RUNNERS)
def test_a_wrong_event_says_which_field(runner: Any) -> None:
    with pytest.raises(UnmarshalError, match=r"at `\$\.Records\[0\]\.s3\.object\.size`"):
        exec_test(runner, {"invocations": [with_size("much")]})


@pytest.mark.parametrize("runner", RUNNERS)
def test_an_event_reaches_it_through_the_local_endpoint(runner: Any, tmp_path: Path) -> None:
    with FunctionProcess(f"examples.event_types:{runner.__name__}", tmp_path / "log") as function:
        assert function.invoke(EVENT).json() == ["lambda-artifacts/b21b84d653bb07b05b1e6b33684dc11b"]
        assert function.invoke(with_size("much")).error["errorType"] == "Runtime.UnmarshalError"
        assert function.process.poll() is None
