"""A durable function of AWS's SDK whose step takes too long; the service is a file that takes its checkpoints."""

import json
import os
import time

from aws_durable_execution_sdk_python import durable_execution, lambda_service

LONG = 3600.0


class Service:
    """Takes checkpoints, one line each."""

    def checkpoint(self, durable_execution_arn, checkpoint_token, updates, client_token):
        with open(os.environ["CHECKPOINTS"], "a") as file:
            for update in updates:
                file.write(json.dumps(update.to_dict(), default=str) + "\n")
        return lambda_service.CheckpointOutput(
            checkpoint_token=checkpoint_token,
            new_execution_state=lambda_service.CheckpointUpdatedExecutionState(operations=[], next_marker=None),
        )

    def get_execution_state(self, *args, **kwargs):
        return lambda_service.StateOutput(operations=[], next_marker="")


lambda_service.LambdaClient.initialize_client = classmethod(lambda cls: Service())


def slow(context):
    while True:
        time.sleep(0.01)


@durable_execution
def run(event, context):
    return context.step(slow, name="slow")


def handler(event, context):
    if event["do"] == "pid":
        return os.getpid()
    return run(
        {
            "DurableExecutionArn": "arn:aws:lambda:us-east-1:123456789012:function:f:1/durable-execution/a/b",
            "CheckpointToken": "t",
            "InitialExecutionState": {
                "Operations": [
                    {
                        "Id": "e",
                        "Type": "EXECUTION",
                        "Status": "STARTED",
                        "StartTimestamp": 1.0,
                        "ExecutionDetails": {"InputPayload": "{}"},
                    }
                ],
                "NextMarker": "",
            },
        },
        context,
    )
