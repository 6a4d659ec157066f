"""Rotations in a process of their own, step by step, against moto's Secrets Manager."""

from __future__ import annotations

import contextlib
import json
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from aws_proxy import AwsProxy
from function_process import FunctionProcess
from rotation import STEPS, Rotation

AwsClient = Callable[[str], Any]
OLD = "old-password-0123456789"


@pytest.fixture(scope="module")
def start(
    aws_env: dict[str, str], aws_proxy: AwsProxy, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], FunctionProcess]]:
    """One process of each Runner for many rotations, as in Lambda; the secret says which service it belongs to."""
    env = {**aws_env, "AWS_ENDPOINT_URL": aws_proxy.url}
    env.pop("AWS_REGION")
    with contextlib.ExitStack() as running:
        processes: dict[str, FunctionProcess] = {}

        def get(runner: str) -> FunctionProcess:
            if runner not in processes:
                log = tmp_path_factory.mktemp("function") / "log"
                process = FunctionProcess(f"rotate_functions:{runner}", log, env)
                processes[runner] = running.enter_context(process)
            return processes[runner]

        yield get


@pytest.fixture
def function(start: Callable[[str], FunctionProcess]) -> FunctionProcess:
    return start("File")


@pytest.fixture
def service(tmp_path: Path) -> Path:
    path = tmp_path / "service"
    path.write_text(OLD)
    return path


def secret_of(service: Path) -> dict[str, Any]:
    """A secret with fields that the Runner's type does not have, at every depth."""
    return {
        "engine": "file",
        "host": str(service),
        "password": OLD,
        "options": {"tls": False, "unknown": {"a": [1, None, 2.5]}},
        "hosts": [{"tls": True, "name": "first"}, {"tls": False, "name": "second"}],
        "masterarn": "arn:aws:secretsmanager:eu-central-1:123456789012:secret:master",
    }


@pytest.fixture
def rotation(aws_client: AwsClient, rotation_arn: str, service: Path) -> Rotation:
    return Rotation(aws_client("secretsmanager"), rotation_arn, secret_of(service))


def check_rotated(rotation: Rotation, service: Path) -> None:
    """The new version is current, accepted, and complete."""
    now = rotation.read("AWSCURRENT")
    assert rotation.labels(rotation.token) == {"AWSCURRENT"}
    assert now["password"] != OLD
    assert len(now["password"]) == 24
    assert service.read_text() == now["password"]
    assert now == secret_of(service) | {"password": now["password"]}


def run(function: FunctionProcess, rotation: Rotation, *steps: str) -> None:
    for step in steps:
        result = function.invoke(rotation.event(step))
        assert result.ok, result.body
        assert result.json() is None


@pytest.mark.parametrize("runner", ["File", "AsyncFile"])
def test_all_steps_rotate_the_secret(
    runner: str, start: Callable[[str], FunctionProcess], rotation: Rotation, service: Path
) -> None:
    function = start(runner)
    run(function, rotation, *STEPS)
    check_rotated(rotation, service)
    assert rotation.labels(rotation.first) == {"AWSPREVIOUS"}
    assert rotation.read("AWSPREVIOUS") == secret_of(service)
    run(function, rotation, *STEPS)  # whatever is asked for now has been done
    check_rotated(rotation, service)


def test_each_step_may_be_repeated_after_its_success(
    function: FunctionProcess, rotation: Rotation, service: Path
) -> None:
    run(function, rotation, "createSecret")
    made = rotation.read("AWSPENDING")
    run(function, rotation, "createSecret")
    assert rotation.read("AWSPENDING") == made, "a pending version is kept"
    run(function, rotation, "setSecret", "setSecret", "testSecret", "testSecret")
    assert Path(f"{service}.sets").read_text() == "set\n", "a version that is accepted is not set again"
    run(function, rotation, "finishSecret", "finishSecret")
    check_rotated(rotation, service)


@pytest.mark.parametrize(
    ("runner", "step"),
    [*(("File", step) for step in STEPS), ("AsyncFile", "setSecret"), ("AsyncFile", "testSecret")],
)
def test_a_failure_at_any_step_is_told_without_secrets_and_the_rotation_succeeds_later(
    runner: str, step: str, start: Callable[[str], FunctionProcess], rotation: Rotation, service: Path
) -> None:
    function = start(runner)
    known = len(function.log)
    before = STEPS[: STEPS.index(step)]
    run(function, rotation, *before)
    fail = Path(f"{service}.fail")
    fail.write_text(step)
    result = function.invoke(rotation.event(step))
    assert not result.ok
    assert not fail.exists()
    assert result.error["errorMessage"].startswith(
        f"{step} failed: ValueError, after OSError (EIO) (its text is not told"
    )
    assert result.error["errorType"] == "RotationError"
    assert "in fail_if_asked" in "".join(result.error["stackTrace"])
    assert rotation.labels(rotation.first) >= {"AWSCURRENT"}, "nothing is current that did not pass"
    if before:
        told = result.body.decode() + function.log[known:]
        assert rotation.read("AWSPENDING")["password"] not in told
        assert OLD not in told
    run(function, rotation, *STEPS)  # Secrets Manager begins again with the first step, and the same token
    check_rotated(rotation, service)


def test_a_password_that_was_generated_and_never_stored_is_not_told_either(
    function: FunctionProcess, rotation: Rotation, service: Path
) -> None:
    Path(f"{service}.fail").write_text("createSecret")
    result = function.invoke(rotation.event("createSecret"))
    assert result.error["errorMessage"].startswith("createSecret failed: ValueError, after OSError (EIO) (")
    assert "made" not in result.error["errorMessage"].replace("been made", "")


def test_a_service_that_does_not_accept_the_current_password_fails_the_step(
    function: FunctionProcess, rotation: Rotation, service: Path
) -> None:
    run(function, rotation, "createSecret")
    service.write_text("changed by hand")
    result = function.invoke(rotation.event("setSecret"))
    assert result.error["errorMessage"].startswith("setSecret failed: PermissionError (its text is not told")
    assert result.error["errorType"] == "RotationError"


def test_a_pending_version_left_behind_does_not_stop_the_next_rotation(
    function: FunctionProcess, rotation: Rotation, service: Path
) -> None:
    run(function, rotation, "createSecret")
    left = rotation.token
    rotation.begin()
    run(function, rotation, *STEPS)
    check_rotated(rotation, service)
    rotation.token = left
    result = function.invoke(rotation.event("testSecret"))
    assert result.error["errorType"] == "ValueError"
    assert "is not pending" in result.error["errorMessage"]


def test_a_wrong_token_is_refused_before_anything_is_done(
    function: FunctionProcess, rotation: Rotation, aws_proxy: AwsProxy
) -> None:
    rotation.token = str(uuid.uuid4())
    aws_proxy.calls.clear()
    for step in STEPS:
        result = function.invoke(rotation.event(step))
        assert result.error["errorType"] == "ValueError"
        assert "has no version" in result.error["errorMessage"]
    assert set(aws_proxy.calls) == {"DescribeSecret"}


def test_the_current_version_needs_no_rotation(
    function: FunctionProcess, rotation: Rotation, aws_proxy: AwsProxy
) -> None:
    rotation.token = rotation.first
    aws_proxy.calls.clear()
    run(function, rotation, *STEPS)
    assert set(aws_proxy.calls) == {"DescribeSecret"}


def test_a_secret_that_is_not_rotated_is_refused(function: FunctionProcess, aws_client: AwsClient) -> None:
    made = aws_client("secretsmanager").create_secret(Name=f"plain-{uuid.uuid4()}", SecretString="{}")
    event = {"Step": "createSecret", "SecretId": made["ARN"], "ClientRequestToken": made["VersionId"]}
    result = function.invoke(event)
    assert "is not enabled for rotation" in result.error["errorMessage"]


def test_an_unknown_step_is_refused(function: FunctionProcess, rotation: Rotation) -> None:
    result = function.invoke(rotation.event("create_secret"))
    assert result.error["errorMessage"] == "unknown step 'create_secret'"


@pytest.mark.parametrize("event", [[], {}, {"Step": "createSecret", "SecretId": "x"}, {"Step": 1}], ids=str)
def test_what_is_no_rotation_is_an_unmarshal_error(function: FunctionProcess, event: object) -> None:
    assert function.invoke(event).error["errorType"] == "Runtime.UnmarshalError"


def test_a_binary_secret_stays_binary(
    function: FunctionProcess, aws_client: AwsClient, rotation_arn: str, service: Path
) -> None:
    client = aws_client("secretsmanager")
    rotation = Rotation(client, rotation_arn, json.dumps(secret_of(service)).encode())
    run(function, rotation, *STEPS)
    check_rotated(rotation, service)
    assert "SecretString" not in client.get_secret_value(SecretId=rotation.secret_id, VersionStage="AWSCURRENT")


IN_ORDER = ("DescribeSecret", "GetSecretValue", "GetRandomPassword", "PutSecretValue", "UpdateSecretVersionStage")


@pytest.mark.parametrize(("what", "times"), [("throttle", 3), ("error", 1), ("lose", 1)])
def test_calls_that_are_throttled_or_lost_are_made_again(
    what: str, times: int, function: FunctionProcess, rotation: Rotation, service: Path, aws_proxy: AwsProxy
) -> None:
    aws_proxy.plan[:] = [(method, what) for method in IN_ORDER for _ in range(times)]
    run(function, rotation, *STEPS)
    assert aws_proxy.plan == []
    check_rotated(rotation, service)


def test_endless_throttling_is_told_before_the_deadline(
    function: FunctionProcess, rotation: Rotation, aws_proxy: AwsProxy
) -> None:
    aws_proxy.plan[:] = [("DescribeSecret", "throttle")] * 1000
    try:
        result = function.invoke(rotation.event("createSecret"), timeout_s=4)
    finally:
        aws_proxy.plan.clear()
    assert result.kind == "error"
    assert "ThrottlingException" in result.error["errorMessage"]


def test_a_secret_of_another_type_is_told_by_place_and_not_by_value(
    function: FunctionProcess, aws_client: AwsClient, rotation_arn: str, service: Path
) -> None:
    hidden = "not-an-object"  # no hexadecimal number: the log is full of ids and ports, which held such a one by chance
    value = secret_of(service) | {"options": hidden}
    rotation = Rotation(aws_client("secretsmanager"), rotation_arn, value)
    result = function.invoke(rotation.event("createSecret"))
    assert result.error["errorType"] == "RotationError"
    assert "at `$.options`" in result.error["errorMessage"]
    assert hidden not in result.body.decode() + function.log
