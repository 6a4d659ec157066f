"""Services for the tests of the special Runners: AWS's, as moto has them, over HTTP on this machine."""

from __future__ import annotations

from collections.abc import Iterator

import pytest


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
