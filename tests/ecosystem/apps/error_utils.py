from aws_error_utils import errors
from botocore.exceptions import ClientError
from common import work


def handler(event, context):
    try:
        raise ClientError({"Error": {"Code": "Mine", "Message": "m"}}, "op")
    except errors.Mine as exc:
        return [str(exc), work(event)]
