"""Event types of AWS's services come from packages that keep up with them; both work as a Runner's Event.

aws-lambda-powertools has pydantic models, which are checked:     pip install 'aws-lambda-powertools[parser]'
aws-lambda-typing has TypedDicts:                                 pip install aws-lambda-typing 'fastlambda[typed]'
"""

from aws_lambda_powertools.utilities.parser.models import S3Model
from aws_lambda_typing.events import S3Event

from fastlambda import LambdaEvent, Runner


class WithPowertools(Runner[None, S3Model, list[str]]):
    def run(self, shared: None, event: LambdaEvent[S3Model]) -> list[str]:
        return [f"{record.s3.bucket.name}/{record.s3.object.key}" for record in event.event.Records]


class WithTypedDicts(Runner[None, S3Event, list[str]]):
    def run(self, shared: None, event: LambdaEvent[S3Event]) -> list[str]:
        return [
            f"{record['s3']['bucket']['name']}/{record['s3']['object']['key']}" for record in event.event["Records"]
        ]
