from common import work


def original(event, context):
    return work(event)
