import logfire
from common import work

logfire.configure(send_to_logfire=False, console=False)


def handler(event, context):
    with logfire.span("work"):
        return work(event)
