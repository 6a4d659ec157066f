"""Custom resources in a process of their own, with an HTTP server behind the presigned URL."""

from __future__ import annotations

import contextlib
import datetime
import ipaddress
import json
import ssl
import sys
from pathlib import Path

import pytest
from examples import token_resource
from function_process import FunctionProcess
from response_url import DRIP, ResponseUrl, request
from support import AwsServer, clean_env

from fastlambda import exec_test


def event(there: ResponseUrl, do: str = "", request_type: str = "Create") -> dict[str, object]:
    return request(there.url, request_type, ResourceProperties={"ServiceToken": "arn", "Do": do})


@pytest.mark.parametrize("runner", ["Thing", "AsyncThing"])
def test_each_request_is_answered_and_the_process_lives_on(runner: str, tmp_path: Path) -> None:
    with FunctionProcess(f"resource_functions:{runner}", tmp_path / "log") as function:
        for do, status, reason in (
            ("", "SUCCESS", None),
            ("raise", "FAILED", "ValueError: as asked"),
            ("exit", "FAILED", "SystemExit: 3"),
            ("", "SUCCESS", None),
        ):
            with ResponseUrl() as there:
                result = function.invoke(event(there, do))
                assert result.ok, result.body
                assert there.answer["Status"] == status
                assert there.answer.get("Reason") == reason
                assert result.json() == {k: v for k, v in there.answer.items() if k in result.json()}
        assert function.process.poll() is None
        assert "SIGNATURE" not in function.log


def test_a_setup_that_fails_is_told_to_cloudformation(tmp_path: Path) -> None:
    with (
        FunctionProcess("resource_functions:Thing", tmp_path / "log", {"FAIL": "setup=ConnectionError"}) as function,
        ResponseUrl() as there,
    ):
        assert function.invoke(event(there)).ok
        assert there.answer["Reason"] == "ConnectionError: as asked"


EXITS = ["ImportError", "KeyError", "SystemExit", "KeyboardInterrupt", "GeneratorExit", "CancelledError", "MemoryError"]


@pytest.mark.parametrize("name", EXITS)
@pytest.mark.parametrize(("runner", "phase"), [("Thing", "import"), ("Unmade", "construct"), ("Thing", "setup")])
def test_a_function_that_cannot_start_tells_cloudformation_why(
    runner: str, phase: str, name: str, tmp_path: Path
) -> None:
    with (
        FunctionProcess(f"resource_functions:{runner}", tmp_path / "log", {"FAIL": f"{phase}={name}"}) as function,
        ResponseUrl() as there,
    ):
        assert function.invoke(event(there)).ok
        assert there.answer["Status"] == "FAILED"
        assert there.answer["PhysicalResourceId"].startswith("fastlambda:not-created:")
        assert there.answer["Reason"].startswith(f"{name}: ")
        assert "as asked" in there.answer["Reason"]
        assert len(there.puts) == 1
        assert function.process.poll() is None, "the invocation would fail, and be repeated"
        assert f"[ERROR] {name}: " in function.log


BROKEN = {
    "syntax": ("from fastlambda.custom_resource import CustomResourceRunner\nclass Thing(\n", "SyntaxError: "),
    "missing module": ("import nowhere\nimport fastlambda.custom_resource\n", "ModuleNotFoundError: No module named"),
    "no such class": ("import fastlambda.custom_resource\n", "Runtime.HandlerNotFound: Runner 'Thing' missing"),
    "a type that nothing decodes": (
        "from fastlambda.custom_resource import CustomResourceRunner as C\nclass Thing(C[None, open]):\n    pass\n",
        "UsageError: ",
    ),
}


@pytest.mark.parametrize(("text", "reason"), BROKEN.values(), ids=BROKEN)
def test_a_module_that_is_broken_tells_cloudformation_why(text: str, reason: str, tmp_path: Path) -> None:
    (tmp_path / "broken_resource.py").write_text(text)
    env = {"PYTHONPATH": str(tmp_path)}
    with FunctionProcess("broken_resource:Thing", tmp_path / "log", env) as function, ResponseUrl() as there:
        assert function.invoke(event(there)).ok
        assert there.answer["Status"] == "FAILED"
        assert there.answer["Reason"].startswith(reason)
        assert len(there.puts) == 1


ONCE = """
import os
from fastlambda.custom_resource import CustomResourceRunner
with open(os.environ["STARTS"], "a+") as file:
    file.write("x")
    file.seek(0)
    if len(file.read()) < 3:
        raise ConnectionError("as asked")
class Thing(CustomResourceRunner[None, dict]):
    def create(self, shared, request):
        return f"made by {os.getpid()}"
"""


@pytest.mark.parametrize("way", ["-m", "-c", "AWS's server"])
def test_a_module_that_imports_later_works_from_then_on(way: str, tmp_path: Path) -> None:
    (tmp_path / "once.py").write_text(ONCE)
    env = {"PYTHONPATH": str(tmp_path), "STARTS": str(tmp_path / "starts")}
    command = [sys.executable, "-m", "fastlambda", "once:Thing"]
    if way != "-m":
        command = [sys.executable, "-c", "import fastlambda; fastlambda.main()", "once:Thing"]
    with contextlib.ExitStack() as stack:
        if way == "AWS's server":
            server = stack.enter_context(AwsServer(command, clean_env(**env), tmp_path))
        else:
            function = stack.enter_context(FunctionProcess("", tmp_path / "log", env, command))
        told = []
        for _ in range(3):
            with ResponseUrl() as there:
                if way == "AWS's server":
                    status, body = server.invoke(json.dumps(event(there)).encode())
                    assert status == 200, body  # nothing that Lambda would repeat
                else:
                    assert function.invoke(event(there)).ok
                assert len(there.puts) == 1
                told.append(there.answer)
    assert [answer["Status"] for answer in told] == ["FAILED", "FAILED", "SUCCESS"]
    if way != "AWS's server":
        assert told[2]["PhysicalResourceId"] == f"made by {function.process.pid}"


def test_another_kind_of_event_is_told_the_same_reason(tmp_path: Path) -> None:
    with FunctionProcess("resource_functions:Thing", tmp_path / "log", {"FAIL": "import=KeyError"}) as function:
        result = function.invoke({"Records": []})
        assert (result.error["errorType"], result.error["errorMessage"]) == ("KeyError", "'as asked'")


@pytest.mark.parametrize("kind", ["provisioned-concurrency", "snap-start"])
def test_where_no_request_is_waiting_it_is_an_init_error(kind: str, tmp_path: Path) -> None:
    env = {"FAIL": "import=KeyError", "AWS_LAMBDA_INITIALIZATION_TYPE": kind}
    with FunctionProcess("resource_functions:Thing", tmp_path / "log", env) as function, ResponseUrl() as there:
        assert not function.invoke(event(there)).ok
        assert there.puts == []


def test_an_answer_that_is_not_taken_fails_the_invocation_before_its_deadline(tmp_path: Path) -> None:
    with (
        FunctionProcess("resource_functions:Thing", tmp_path / "log") as function,
        ResponseUrl(*[500] * 10_000) as there,
    ):
        result = function.invoke(event(there), timeout_s=3)
        assert result.kind == "error"
        assert result.error["errorType"] == "DeliveryError"
        assert "status 500" in result.error["errorMessage"]
        assert len(there.puts) > 1
        assert there.answer["Status"] == "SUCCESS"
        assert "SIGNATURE" not in function.log + result.body.decode()


def test_an_answer_that_drips_fails_the_invocation_before_its_deadline(tmp_path: Path) -> None:
    with (
        FunctionProcess("resource_functions:Thing", tmp_path / "log", {"FASTLAMBDA_AFTER_TIMEOUT": "keep"}) as function,
        ResponseUrl(*[DRIP] * 100) as there,
    ):
        result = function.invoke(event(there), timeout_s=2)
        assert result.error["errorType"] == "DeliveryError", result.body
        assert "TimeoutError" in result.error["errorMessage"]
        assert function.invoke(event(there), timeout_s=2).error["errorType"] == "DeliveryError"
        assert function.process.poll() is None
        assert there.answer["Status"] == "SUCCESS"


def certificate(folder: Path) -> Path:
    """A certificate for 127.0.0.1 with its key, in one file."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / "certificate.pem"
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return path


def test_the_answer_goes_over_tls_to_a_server_that_is_trusted_and_to_no_other(tmp_path: Path) -> None:
    pem = certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    with ResponseUrl(tls=context) as there:
        with FunctionProcess("resource_functions:Thing", tmp_path / "log", {"SSL_CERT_FILE": str(pem)}) as function:
            assert function.invoke(event(there)).ok
            assert there.answer["Status"] == "SUCCESS"
        with FunctionProcess("resource_functions:Thing", tmp_path / "log2") as function:
            result = function.invoke(event(there), timeout_s=2)
            assert result.error["errorType"] == "DeliveryError"
            assert "SSLCertVerificationError" in result.error["errorMessage"]
    assert len(there.puts) == 1


def test_the_example_answers_in_this_process() -> None:
    with ResponseUrl() as made, ResponseUrl() as changed, ResponseUrl() as deleted:
        properties = {"ServiceToken": "arn", "Length": "32"}
        exec_test(
            token_resource.Token,
            {
                "invocations": [
                    request(made.url, ResourceProperties=properties),
                    request(changed.url, "Update", ResourceProperties=properties),
                    request(deleted.url, "Delete", ResourceProperties=properties),
                ]
            },
        )
    assert len(made.answer["Data"]["Value"]) == 32
    assert made.answer["NoEcho"] is True
    assert changed.answer["PhysicalResourceId"] != "thing-1"
    assert changed.answer["Data"] != made.answer["Data"]
    assert deleted.answer["Status"] == "SUCCESS"


def test_the_example_answers_through_the_local_endpoint(tmp_path: Path) -> None:
    with FunctionProcess("examples.token_resource:Token", tmp_path / "log") as function, ResponseUrl() as there:
        assert function.invoke(request(there.url, ResourceProperties={"Length": "8"})).ok
        assert len(there.answer["Data"]["Value"]) == 8
        assert there.answer["Data"]["Value"] not in function.log
