"""Secrets Manager's part of a rotation: begins one, and tells what came of it."""

from __future__ import annotations

import json
import uuid
from typing import Any

STEPS = ("createSecret", "setSecret", "testSecret", "finishSecret")


class Rotation:
    """One secret, being rotated.

    Args:
        secretsmanager: boto3's client.
        arn: of a function that moto has.
        value: of the current version; bytes make a binary secret.
        name: of the secret.
    """

    def __init__(self, secretsmanager: Any, arn: str, value: Any, name: str = "") -> None:
        self.client, self.arn = secretsmanager, arn
        stored = {"SecretBinary": value} if isinstance(value, bytes) else {"SecretString": json.dumps(value)}
        made = self.client.create_secret(Name=name or f"secret-{uuid.uuid4()}", **stored)
        self.secret_id, self.first = made["ARN"], made["VersionId"]
        self.token = self.begin()

    def begin(self) -> str:
        self.token = self.client.rotate_secret(
            SecretId=self.secret_id, RotationLambdaARN=self.arn, RotationRules={"AutomaticallyAfterDays": 30}
        )["VersionId"]
        return str(self.token)

    def event(self, step: str, **more: str) -> dict[str, str]:
        return {"Step": step, "SecretId": self.secret_id, "ClientRequestToken": self.token, **more}

    def labels(self, version: str) -> set[str]:
        return set(self.client.describe_secret(SecretId=self.secret_id)["VersionIdsToStages"].get(version, []))

    def read(self, label: str) -> Any:
        got = self.client.get_secret_value(SecretId=self.secret_id, VersionStage=label)
        return json.loads(got["SecretString"] if "SecretString" in got else got["SecretBinary"])
