"""The cases: tables of (name, event or handler), grouped into batches that share a process."""

import importlib.util
import json
import sys

from .compare import APPS, Batch
from .endpoint import Event
from .face_batches import FACE

UTF8 = {"AWS_EXECUTION_ENV": "AWS_Lambda_python3.12"}


def app(name):
    """Loads an app by its file, to read its table of cases."""
    spec = importlib.util.spec_from_file_location(name, APPS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


DOCUMENTS = {
    "object": b'{"a": 1, "b": [true, false, null]}',
    "empty-body": b"",
    "only-spaces": b"  \n",
    "spaces-around": b" \t\r\n{} \t\r\n",
    "form-feed-around": b"\x0c{}",
    "no-break-space-around": "\u00a0{}".encode(),
    "bom": b"\xef\xbb\xbf[1]",
    "bom-only": b"\xef\xbb\xbf",
    "bom-twice": b"\xef\xbb\xbf\xef\xbb\xbf[1]",
    "utf-16": '{"a": 1}'.encode("utf-16"),
    "utf-16-le": '{"a": 1}'.encode("utf-16-le"),
    "utf-32": "[1]".encode("utf-32-be"),
    "bad-utf8": b'"\xff"',
    "bad-utf8-cut": b'"\xc3"',
    "bad-utf8-overlong": b'"\xc0\x80"',
    "raw-surrogate": b'"\xed\xa0\x80"',
    "surrogate-escape": b'"\\ud800"',
    "surrogate-escape-low": b'"x\\udc00y"',
    "surrogate-pair": b'"\\ud83d\\ude00"',
    "surrogate-two-highs": b'"\\ud83d\\ud83d\\ude00"',
    "surrogate-high-then-text": b'"\\ud83dx"',
    "surrogate-key": b'{"\\udfff": 1}',
    "accents": '"äöü€😀"'.encode(),
    "key-accents": '{"ä": 1}'.encode(),
    "escapes": rb'"\"\\\/\b\f\n\r\t\u0041\u00e9"',
    "escape-nul": rb'"\u0000"',
    "escape-unknown": rb'"\x41"',
    "escape-cut": rb'"\u12"',
    "escape-cut-at-end": b'"\\u12',
    "escape-capital": rb'"\U00000041"',
    "escape-plus": rb'"\u+123"',
    "control-character": b'"\x01"',
    "newline-in-string": b'"a\nb"',
    "delete-character": b'"\x7f"',
    "nul-after": b"1\x00",
    "nul-before": b"\x001",
    "nan": b"NaN",
    "infinity": b"[Infinity]",
    "minus-infinity": b'{"a": -Infinity}',
    "1e400": b"1e400",
    "minus-1e400": b"[-1e400]",
    "1e-400": b"1e-400",
    "exponents": b"[1e5, 1E5, 1e+5, 1e-5, 1.5e3, 0e0, -0e-0]",
    "minus-zero": b"[-0, -0.0]",
    "float": b"[1.10, 0.1, 123456789.123456789, 1.7976931348623157e308, 5e-324]",
    "float-many-digits": b"0." + b"1234567890" * 30,
    "int-64": b"[9223372036854775807, -9223372036854775808]",
    "int-unsigned": b"[9223372036854775808, 18446744073709551615]",
    "int-beyond-unsigned": b"18446744073709551616",
    "int-beyond-signed": b"-9223372036854775809",
    "int-19-digits": b"[1234567890123456789]",
    "int-20-digits": b"[12345678901234567890]",
    "int-21-digits": b'{"a": 123456789012345678901}',
    "int-40-digits": b"[" + b"1234567890" * 4 + b"]",
    "int-4300-digits": b"1" * 4300,
    "int-4301-digits": b"1" * 4301,
    "int-big-exponent": b"12345678901234567890e2",
    "digits-in-string": b'"' + b"1234567890" * 5 + b'"',
    "leading-zero": b"01",
    "leading-zeros-minus": b"-01",
    "plus": b"+1",
    "minus": b"-",
    "dot-first": b".5",
    "dot-last": b"1.",
    "exponent-empty": b"1e",
    "exponent-sign-only": b"1e+",
    "hex": b"0x10",
    "number-then-letters": b"1a",
    "two-documents": b"{} {}",
    "trailing-comma-list": b"[1,]",
    "trailing-comma-object": b'{"a": 1,}',
    "comma-first": b"[,1]",
    "comma-missing": b"[1 2]",
    "colon-missing": b'{"a" 1}',
    "key-not-a-string": b"{1: 2}",
    "key-unquoted": b"{a: 2}",
    "single-quotes": b"{'a': 1}",
    "comment": b"{} // no",
    "cut-object": b'{"a"',
    "cut-list": b"[1",
    "cut-string": b'"abc',
    "cut-literal": b"tru",
    "literal-then-text": b"truex",
    "literal-capital": b"True",
    "unopened": b"]",
    "wrong-closing": b'{"a": 1]',
    "duplicate-keys": b'{"a": 1, "b": 2, "a": 3}',
    "empty-key": b'{"": 0}',
    "scalar-null": b"null",
    "scalar-true": b"true",
    "scalar-string": b'"x"',
    "scalar-number": b"5",
    "deep-500": b"[" * 500 + b"]" * 500,
    "deep-900-objects": b'{"a":' * 900 + b"1" + b"}" * 900,
    "deep-100000": b"[" * 100_000 + b"]" * 100_000,
    "deep-unclosed": b"[" * 100_000,
    "long-string": b'"' + b"x" * 20_000 + b'"',
    "long-list": json.dumps(list(range(5000))).encode(),
    "many-objects": json.dumps([{"id": n, "name": f"n{n}", "v": n / 8} for n in range(2000)]).encode(),
}

CONTENT_TYPES = {
    "charset": "application/json; charset=utf-8",
    "upper-case": "Application/JSON",
    "plain-text": "text/plain",
    "octets": "application/octet-stream",
    "spaces": "application/json ",
}

DECODE = [Event(name, body) for name, body in DOCUMENTS.items()] + [
    Event(f"content-type-{name}", b'{"a": 1}', {"Content-Type": value}) for name, value in CONTENT_TYPES.items()
]

RESULTS = list(app("app_results").RESULTS)
TEXT_RESULTS = [name for name in RESULTS if name.startswith(("text", "key-accents", "key-bytes", "bytes", "float-nan"))]

ERRORS = list(app("app_errors").FAILURES)

CLIENT_CONTEXT = {
    "custom": {"k": "v", "n": [1]},
    "env": {"locale": "de"},
    "client": {
        "installation_id": "i",
        "app_title": "t",
        "app_version_name": "v",
        "app_version_code": "c",
        "app_package_name": "p",
        "other": "dropped",
    },
}
W3C = {"traceparent": "00-1", "tracestate": "a=b", "baggage": 5, "other": "x"}
HEADERS = {
    "client-context": json.dumps(CLIENT_CONTEXT),
    "client-context-empty": "{}",
    "client-context-null": "null",
    "client-context-list": "[1]",
    "client-context-text": '"x"',
    "client-context-number": "0",
    "client-context-no-client": '{"custom": {"a": 1}, "unknown": 2}',
    "client-context-client-null": '{"client": null}',
    "client-context-client-list": '{"client": [1]}',
    "client-context-other-spelling": '{"client": {"installationId": "x"}}',
    "client-context-broken": "{nope",
    "client-context-cut": '{"a": ',
    "client-context-empty-header": "",
    "client-context-nan": '{"custom": NaN}',
    "client-context-big-int": '{"custom": 123456789012345678901}',
    "client-context-accents": '{"custom": "\\u00e4"}',
    "client-context-slots": '{"custom": 1}',
    "w3c": json.dumps({"w3c": W3C}),
    "w3c-and-more": json.dumps({**CLIENT_CONTEXT, "w3c": W3C}),
    "w3c-not-an-object": '{"w3c": [1]}',
    "w3c-null": '{"w3c": null}',
    "same-w3c-object": json.dumps({"w3c": W3C}),
}
IDENTITIES = {
    "identity": '{"cognitoIdentityId": "id", "cognitoIdentityPoolId": "pool"}',
    "identity-empty": "{}",
    "identity-null": "null",
    "identity-list": "[]",
    "identity-partial": '{"cognitoIdentityId": 5, "x": 1}',
    "identity-broken": "nope",
    "identity-snake-case": '{"cognito_identity_id": "x"}',
    "identity-empty-header": "",
}
CONTEXT = (
    [Event("plain")]
    + [Event(name, headers={"Lambda-Runtime-Client-Context": value}) for name, value in HEADERS.items()]
    + [Event(name, headers={"Lambda-Runtime-Cognito-Identity": value}) for name, value in IDENTITIES.items()]
    + [
        Event("tenant", headers={"Lambda-Runtime-Aws-Tenant-Id": "blue"}),
        Event("tenant-gone"),
        Event("tenant-empty", headers={"Lambda-Runtime-Aws-Tenant-Id": ""}),
        Event("no-arn", headers={"Lambda-Runtime-Invoked-Function-Arn": None}),
        Event("remaining"),
        Event("remaining-past", deadline_in_ms=-5_000),
        Event("remaining-no-deadline", headers={"Lambda-Runtime-Deadline-Ms": None}),
        Event("deadline-private"),
        Event("set-attributes"),
        Event("attributes-from-last-time"),
        Event("vars-are-kept"),
        Event("missing-attribute"),
        Event("delete-attribute"),
        Event("identity-settable"),
        Event("class-name"),
        Event("copy"),
        Event("vars"),
        Event("vars-are-written"),
        Event("deepcopy"),
        Event("copied-attributes"),
        Event("pickle"),
        Event("weakref"),
        Event("isinstance"),
        Event("kept-vars"),
        Event("kept-vars-later"),
        Event("log"),
        Event("stderr"),
        Event("invocation-id", headers={"Lambda-Runtime-Invocation-Id": "attempt-1"}),
        Event("invocation-id-gone"),
        Event("header-names-in-small-letters", headers={"lambda-runtime-aws-tenant-id": "green"}),
        Event("environment-is-read-late"),
        Event("environment-changed-before"),
    ]
)

STREAMS = list(app("app_streams").ACTIONS)

LOG_ACTIONS = list(app("app_logs").ACTIONS)


def log_events(names=None):
    tenants = {"with-tenant": {"Lambda-Runtime-Aws-Tenant-Id": "blue"}}
    return [Event(name, headers=dict(tenants.get(name, {}))) for name in names or LOG_ACTIONS]


SOME_LOGS = ["levels", "odd-level", "level-5", "level-60", "exception", "extra", "print", "fails", "handler-facts"]

TRACE = [
    Event("one", headers={"Lambda-Runtime-Trace-Id": "Root=1-a;Parent=b;Sampled=1"}),
    Event("same-again", headers={"Lambda-Runtime-Trace-Id": "Root=1-a;Parent=b;Sampled=1"}),
    Event("child-sees-it", headers={"Lambda-Runtime-Trace-Id": "Root=1-c"}),
    Event("overwritten", headers={"Lambda-Runtime-Trace-Id": "Root=1-c"}),
    Event("after-overwritten", headers={"Lambda-Runtime-Trace-Id": "Root=1-c"}),
    Event("deleted", headers={"Lambda-Runtime-Trace-Id": "Root=1-c"}),
    Event("after-deleted", headers={"Lambda-Runtime-Trace-Id": "Root=1-c"}),
    Event("gone"),
    Event("child-sees-nothing"),
    Event("still-gone"),
    Event("empty", headers={"Lambda-Runtime-Trace-Id": ""}),
    Event("back", headers={"Lambda-Runtime-Trace-Id": "Root=1-d"}),
]


def found(name, handler, env=None):
    """A handler string that leads to a handler."""
    return Batch(f"handler-{name}", "app_attributes", [Event("called")], handler=handler, env=env or {})


def refused(name, handler, env=None):
    """A handler string, or a module, that ends init."""
    return Batch(f"handler-{name}", "app_attributes", handler=handler, env=env or {}, ends_itself=True)


HANDLERS = [
    found("plain", "app_attributes.handler"),
    Batch("handler-instance", "", [Event("value-error")], "app_errors.instance"),
    found("partial", "app_attributes.partial"),
    found("module-getattr", "app_attributes.made_up"),
    found("package", "pkg.sub.deep.handler"),
    found("slashes", "pkg/sub/deep.handler"),
    refused("no-dots", "nodots"),
    Batch("handler-empty", "", args=[""], ends_itself=True),
    refused("built-in", "sys.path.x"),
    refused("built-in-plain", "time.time"),
    refused("missing-module", "pkg/missing.handler"),
    refused("missing-package", "nowhere.handler"),
    refused("nested-attribute", "app_attributes.K.method"),
    refused("missing-attribute", "app_attributes.nope"),
    refused("accents", "modül.händler"),
    refused("relative", "./app.handler"),
    refused("absolute", "/app.handler"),
    refused("dot-first", ".handler"),
    refused("only-dot", "."),
    refused("dot-last", "app_attributes."),
    refused("two-dots", "app_attributes..handler"),
    refused("syntax", "app_syntax.handler"),
    refused("raises", "app_raises.handler", {"RAISES": "ValueError"}),
    refused("raises-key", "app_raises.handler", {"RAISES": "KeyError"}),
    refused("raises-import-error", "app_raises.handler", {"RAISES": "ImportError"}),
    refused("imports-missing", "app_raises.handler", {"RAISES": "missing"}),
    refused("exits-0", "app_raises.handler", {"RAISES": "exit0"}),
    refused("exits-3", "app_raises.handler", {"RAISES": "exit3"}),
    refused("interrupted", "app_raises.handler", {"RAISES": "interrupt"}),
    refused("raises-json-logs", "app_raises.handler", {"RAISES": "ValueError", "AWS_LAMBDA_LOG_FORMAT": "JSON"}),
    Batch("handler-not-set", "app_attributes", args=[], ends_itself=True),
    Batch(
        "handler-raises-telemetry",
        "",
        handler="app_raises.handler",
        env={"RAISES": "ValueError"},
        telemetry=True,
        ends_itself=True,
    ),
    Batch("handler-init-error-refused", "", handler="nodots", statuses={"init/error": 403}, ends_itself=True),
    Batch("handler-async", "", [Event("called")], handler="app_attributes.coroutine"),
]


HARD = Event("hard", b'{"leave": "hard"}')


def leaving(name, what, events=()):
    body = json.dumps({"leave": what}).encode()
    return Batch(f"leave-{name}", "", [Event("called", body), *events], handler="app_errors.leave", ends_itself=True)


LEAVING = [
    leaving("exit-0", 0),
    leaving("exit-3", 3),
    leaving("exit-none", None),
    leaving("exit-text", "a text"),
    leaving("interrupt", "interrupt"),
    leaving("base-exception", "base", [HARD]),
    leaving("generator-exit", "generator-exit", [HARD]),
    leaving("hard", "hard"),
]

SURVIVING = [
    leaving("bad-str", "bad-str", [HARD]),
    Batch(
        "surrogate-message-utf8",
        "",
        [Event("called", b'{"leave": "surrogate-message"}'), HARD],
        handler="app_errors.leave",
        env=UTF8,
        ends_itself=True,
    ),
    Batch(
        "surrogate-message",
        "",
        [Event("called", b'{"leave": "surrogate-message"}'), HARD],
        handler="app_errors.leave",
        ends_itself=True,
    ),
    Batch(
        "surrogate-result-utf8",
        "",
        [Event("lone-surrogate"), Event("end-of-batch")],
        handler="app_results.handler",
        env=UTF8,
        ends_itself=True,
    ),
    *[
        Batch(
            f"refused-response-{status}",
            "",
            [Event("none", report_status=status), Event("end-of-batch")],
            handler="app_results.handler",
            ends_itself=True,
        )
        for status in (400, 403, 410, 413)
    ],
    Batch(
        "refused-error",
        "",
        [Event("value-error", report_status=403), Event("end-of-batch")],
        handler="app_errors.handler",
        ends_itself=True,
    ),
    Batch(
        "empty-content-type",
        "",
        [Event("none", headers={"Content-Type": ""}), Event("end-of-batch")],
        handler="app_results.handler",
        ends_itself=True,
    ),
    Batch(
        "no-content-type",
        "",
        [Event("none", headers={"Content-Type": None}), Event("end-of-batch")],
        handler="app_results.handler",
        ends_itself=True,
    ),
]

SNAP = {"AWS_LAMBDA_INITIALIZATION_TYPE": "snap-start"}


def snapshot(name, fail="", ends_itself=True, **more):
    events = [] if ends_itself else [Event("called")]
    return Batch(
        f"snapshot-{name}", "app_snapshot", events, env={**SNAP, "FAIL": fail}, ends_itself=ends_itself, **more
    )


SNAPSHOTS = [
    Batch("snapshot-hooks", "app_snapshot", [Event("called"), Event("end-of-batch")], env=SNAP, ends_itself=True),
    Batch(
        "snapshot-no-hooks",
        "",
        [Event("called"), Event("end-of-batch")],
        handler="app_attributes.handler",
        env=SNAP,
        ends_itself=True,
    ),
    snapshot("before-fails", "before"),
    snapshot("before-exits", "before-exit"),
    snapshot("after-fails", "after"),
    snapshot("after-exits", "after-exit"),
    snapshot("restore-refused", statuses={"restore/next": 500}),
]

LOGS = [
    Batch("log-text", "app_logs", log_events()),
    Batch("log-json", "app_logs", log_events(), env={"AWS_LAMBDA_LOG_FORMAT": "JSON"}),
    Batch("log-json-lower", "app_logs", log_events(["levels"]), env={"AWS_LAMBDA_LOG_FORMAT": "json"}),
    Batch("log-text-frames", "app_logs", log_events(), telemetry=True),
    Batch("log-json-frames", "app_logs", log_events(), env={"AWS_LAMBDA_LOG_FORMAT": "JSON"}, telemetry=True),
    Batch(
        "log-text-level-frames", "app_logs", log_events(SOME_LOGS), env={"AWS_LAMBDA_LOG_LEVEL": "INFO"}, telemetry=True
    ),
    *[
        Batch(f"log-level-{level}", "app_logs", log_events(SOME_LOGS), env={"AWS_LAMBDA_LOG_LEVEL": level})
        for level in ("TRACE", "trace", "DEBUG", "info", "WARN", "ERROR", "FATAL", "NONSENSE")
    ],
    Batch(
        "log-json-level",
        "app_logs",
        log_events(SOME_LOGS),
        env={"AWS_LAMBDA_LOG_LEVEL": "DEBUG", "AWS_LAMBDA_LOG_FORMAT": "JSON"},
    ),
]

BATCHES = [
    Batch("decode", "app_decode", DECODE),
    Batch("result", "app_results", [Event(name) for name in RESULTS]),
    Batch("result-utf8", "app_results", [Event(name) for name in TEXT_RESULTS], env=UTF8),
    Batch("error", "app_errors", [Event(name) for name in ERRORS]),
    Batch("error-utf8", "app_errors", [Event(n) for n in ("accents", "quotes")], env=UTF8),
    Batch("error-json", "app_errors", [Event(name) for name in ERRORS], env={"AWS_LAMBDA_LOG_FORMAT": "JSON"}),
    Batch("context", "app_context", CONTEXT),
    Batch(
        "context-bare",
        "app_context",
        [Event("plain")],
        env=dict.fromkeys(
            (
                "AWS_LAMBDA_FUNCTION_NAME",
                "AWS_LAMBDA_FUNCTION_VERSION",
                "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
                "AWS_LAMBDA_LOG_GROUP_NAME",
                "AWS_LAMBDA_LOG_STREAM_NAME",
            )
        ),
    ),
    *LOGS,
    Batch("streams", "app_streams", [Event(name) for name in STREAMS], env={"FASTLAMBDA_JSON_LAYOUT": "aws"}),
    Batch("preview", "app_decode", [Event("object")], env={"AWS_EXECUTION_ENV": "AWS_Lambda_python3.15"}),
    Batch(
        "preview-silenced",
        "app_decode",
        [Event("object")],
        env={"AWS_EXECUTION_ENV": "AWS_Lambda_python3.15", "LAMBDA_DISABLE_PREVIEW_WARN": "1"},
    ),
    Batch("trace", "app_trace", TRACE),
    *HANDLERS,
    *LEAVING,
    *SURVIVING,
    *SNAPSHOTS,
    *FACE,
]
