import logging
import os

import boto3
import watchtower
from common import work

client = boto3.client("logs", endpoint_url=os.environ["INTAKE"])
logging.getLogger().addHandler(watchtower.CloudWatchLogHandler(log_group_name="g", boto3_client=client))


def handler(event, context):
    logging.warning("told")
    return work(event)
