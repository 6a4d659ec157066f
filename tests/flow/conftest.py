"""Services for the tests of the special Runners: AWS's, as moto has them, over HTTP on this machine."""

from __future__ import annotations

import io
import json
import urllib.request
import zipfile
from collections.abc import Iterator

import pytest
from aws_proxy import AwsProxy


@pytest.fixture(scope="session")
def aws_env() -> Iterator[dict[str, str]]:
    """The environment with which any AWS SDK talks to a server of this machine, which knows nobody's secrets."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "eu-central-1",
        "AWS_REGION": "eu-central-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "NO_PROXY": "127.0.0.1",
    }
    server.stop()


@pytest.fixture
def aws_client(aws_env: dict[str, str]) -> object:
    """Makes boto3 clients of that server: aws_client("sqs")."""
    import boto3

    def client(name: str) -> object:
        return boto3.session.Session().client(
            name,
            region_name=aws_env["AWS_REGION"],
            endpoint_url=aws_env["AWS_ENDPOINT_URL"],
            aws_access_key_id="testing",
            aws_secret_access_key="testing",
        )

    return client


@pytest.fixture(scope="session")
def aws_proxy(aws_env: dict[str, str]) -> Iterator[AwsProxy]:
    """The same server behind a proxy that may be told to misbehave."""
    proxy = AwsProxy(aws_env["AWS_ENDPOINT_URL"])
    yield proxy
    proxy.close()


@pytest.fixture(scope="session")
def rotation_arn(aws_env: dict[str, str]) -> str:
    """ARN of a function that moto takes for the rotation's, and never runs: the tests do."""
    import boto3

    url = aws_env["AWS_ENDPOINT_URL"]
    body = json.dumps({"lambda": {"use_docker": False}}).encode()
    config = urllib.request.Request(f"{url}/moto-api/config", body, {"Content-Type": "application/json"})
    urllib.request.urlopen(config).close()
    session = boto3.session.Session(
        aws_access_key_id="testing", aws_secret_access_key="testing", region_name=aws_env["AWS_REGION"]
    )
    role = session.client("iam", endpoint_url=url).create_role(RoleName="r", AssumeRolePolicyDocument="{}")
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("app.py", "")
    made = session.client("lambda", endpoint_url=url).create_function(
        FunctionName="rotation",
        Runtime="python3.11",
        Role=role["Role"]["Arn"],
        Handler="app.handler",
        Code={"ZipFile": archive.getvalue()},
    )
    return str(made["FunctionArn"])
