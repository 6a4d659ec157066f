"""Cases of what tools replace in AWS's client: the replacement is asked in the same places, with the same things."""

from .compare import Batch
from .endpoint import Event

# Bytes can be compared: what is replaced sees what is posted.
LAYOUT = {"FASTLAMBDA_JSON_LAYOUT": "aws"}
EVENT = b'{"a": [1, "x"]}'


def face(patch, *names, name="", **more):
    env = {"PATCH": patch, **LAYOUT, **more.pop("env", {})}
    return Batch(f"face-{name or patch}", "app_face", [Event(n, EVENT) for n in names], env=env, **more)


JSON_LOGS = {"AWS_LAMBDA_LOG_FORMAT": "JSON"}

FACE = [
    face("handler", "plain", "fails", "bytes", "set", "global"),
    face("posts", "plain", "fails", "bytes", "set"),
    face("both", "plain", "fails"),
    face("by-class-name", "plain", "fails"),
    face("rewritten", "plain", "fails", "bytes"),
    face("init", ends_itself=True),
    face("marshaller", "plain", "fails", "bytes"),
    face("marshaller-subclass", "plain", "fails", "bytes", "decimal"),
    face("encoder", "plain", "set", "decimal", "bytes"),
    face("sink", "fails"),
    face("sink", "fails", name="sink-frames", telemetry=True),
    face("sink-log", "fails", "logs"),
    face("filter", "logs"),
    face("log-error", "fails"),
    face("log-error", "fails", name="log-error-json", env=JSON_LOGS),
    face("make-error", "fails"),
    face("json-encoder", "logs", env=JSON_LOGS),
    face("json-formatter", "logs", env=JSON_LOGS),
    face("context", "plain", "mine", "fails"),
    face("poll", "plain", "fails"),
    face("get-handler", "plain"),
    face("fault", "fault", "plain"),
    face("post-raises", "plain", "end-of-batch", ends_itself=True),
    face("late", "plain", "late", "plain-again", "fails"),
]
