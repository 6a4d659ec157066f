"""The function that most cases watch."""


def work(event):
    if isinstance(event, dict) and event.get("fail"):
        raise ValueError("as asked")
    return {"event": event}


def work_with_context(event, context):
    return work(event)
