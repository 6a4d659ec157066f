"""The plain handler: gives back what it got; imports nothing."""


def handler(event, context):
    return event
