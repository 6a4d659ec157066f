from aws_xray_sdk.core import xray_recorder
from common import work


class Emitter:
    def send_entity(self, entity):
        print("segment", entity.name, entity.fault, entity.error)


xray_recorder.configure(emitter=Emitter())


def handler(event, context):
    with xray_recorder.in_subsegment("mine") as segment:
        print("in", type(segment).__name__)
        return work(event)
