"""A handler as most are: it has a logger and knows JSON."""

import json
import logging

logger = logging.getLogger(__name__)
DEFAULTS = json.loads('{"stage": "bench"}')


def handler(event, context):
    return event
