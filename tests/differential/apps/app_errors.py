"""Ways to fail; the request id names the one to take."""

import os
import sys


class Loud(Exception):
    def __str__(self):
        return "from __str__"


class Nameless(Exception):
    pass


Nameless.__name__ = "Renamed"


def inner(text):
    raise ValueError(text)


def recurse(n):
    return recurse(n + 1)


def chained():
    try:
        inner("first")
    except ValueError as exc:
        raise RuntimeError("second") from exc


def in_context():
    try:
        inner("first")
    except ValueError:
        raise RuntimeError("second")  # noqa: B904  the implicit context is what is tested


def noted():
    exc = ValueError("noted")
    exc.add_note("a note")
    raise exc


def raising(exc):
    def fail():
        raise exc

    return fail


def generated():
    return [inner(str(x)) for x in range(2)]


def from_exec():
    exec(compile("def f():\n    raise ValueError('no file')\nf()", "<made up>", "exec"), {})


def syntax():
    compile("x = = 1", "some.py", "exec")


def missing_key():
    return {}["nope"]


def bad_call():
    inner()


def divide():
    return 1 / 0


def missing_import():
    import nothing_of_this_name  # noqa: F401


def asserting():
    assert 1 == 2, "sums"


FAILURES = {
    "value-error": lambda: inner("bad"),
    "no-message": raising(ValueError()),
    "empty-message": raising(ValueError("")),
    "two-args": raising(ValueError("a", 2)),
    "key-error": missing_key,
    "type-error": bad_call,
    "zero-division": divide,
    "import-error": missing_import,
    "assertion": asserting,
    "syntax-error": syntax,
    "os-error": lambda: os.stat("/nowhere/at/all"),
    "unicode-error": lambda: b"\xff".decode(),
    "custom": raising(Loud("x")),
    "renamed-class": raising(Nameless("x")),
    "chained": chained,
    "in-context": in_context,
    "noted": noted,
    "group": raising(ExceptionGroup("several", [ValueError(1), TypeError(2)])),
    "list-comprehension": generated,
    "exec-frames": from_exec,
    "recursion": lambda: recurse(0),
    "stop-iteration": raising(StopIteration("x")),
    "timeout-error": raising(TimeoutError("late")),
    "not-implemented": raising(NotImplementedError()),
    "multi-line": raising(ValueError("one\ntwo\n  three")),
    "carriage-return": raising(ValueError("one\rtwo")),
    "tabs": raising(ValueError("a\tb")),
    "accents": raising(ValueError("äöü€ 😀")),
    "quotes": raising(ValueError('"quoted" \\ and \x01')),
    "long-message": raising(ValueError("x" * 20_000)),
    "spaces-first": raising(ValueError("   indented")),
    "cannot-be-written": lambda: object(),
    "not-callable": lambda: int("5")(),
    "fine-after-errors": lambda: "fine",
}


def handler(event, context):
    if context.aws_request_id == "end-of-batch":
        os._exit(0)
    return FAILURES[context.aws_request_id]()


def leave(event, context):
    what = event["leave"]
    if what == "interrupt":
        raise KeyboardInterrupt
    if what == "base":
        raise BaseException("base")
    if what == "generator-exit":
        raise GeneratorExit
    if what == "hard":
        os._exit(9)
    if what == "bad-str":

        class Bad(Exception):
            def __str__(self):
                raise ValueError("no text")

        raise Bad
    if what == "surrogate-message":
        raise ValueError("lone \ud800")
    sys.exit(what)


class Callable:
    def __call__(self, event, context):
        return handler(event, context)


instance = Callable()
number = 5


def one_argument(event):
    return "never"


def surrogate_after(event, context):
    return "after"
