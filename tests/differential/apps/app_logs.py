"""Log records and prints; the request id names what to write."""

import logging
import os
import sys
import warnings

logger = logging.getLogger("shop.orders")


def with_traceback():
    try:
        raise ValueError("inside")
    except ValueError:
        logger.exception("it failed: %s", "why")


def with_exc_info_twice():
    with_traceback()
    logger.error("next record")


def changed_level():
    root = logging.getLogger()
    before = root.level
    root.setLevel(logging.INFO)
    logger.info("visible now")
    root.setLevel(before)


def own_handler():
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(name)s|%(message)s"))
    logger.addHandler(handler)
    logger.error("to both")
    logger.removeHandler(handler)


def handler_facts():
    root = logging.getLogger()
    print([type(h.log_sink).__name__ for h in root.handlers if hasattr(h, "log_sink")], len(root.handlers))
    print(root.level, [len(h.filters) for h in root.handlers], type(root.handlers[0].formatter).__name__)


def direct_to_sink():
    logging.getLogger().handlers[0].log_sink.log("straight\n")


def a_warning():
    logging.captureWarnings(True)
    warnings.warn_explicit("careful", UserWarning, "file.py", 3)
    logging.captureWarnings(False)


def many_prints():
    for n in range(3):
        print(n, end=" ")
    print()


def fails():
    logger.error("before the failure")
    raise ValueError("uncaught")


class Odd:
    def __str__(self):
        return "odd thing"

    __repr__ = __str__


def stop_handling():
    logger.error("bad format %d", "x")


ACTIONS = {
    "levels": lambda: [getattr(logger, n)(n) for n in ("debug", "info", "warning", "error", "critical")],
    "root": lambda: logging.warning("from the root"),
    "arguments": lambda: logger.error("%s has %d", "order", 5),
    "dict-argument": lambda: logger.error("%(a)s", {"a": 1}),
    "dict-message": lambda: logger.error({"event": "sold", "n": 2, "odd": Odd()}),
    "list-message": lambda: logger.error([1, "two"]),
    "object-message": lambda: logger.error(Odd()),
    "empty-message": lambda: logger.error(""),
    "accents": lambda: logger.error("äöü€ 😀"),
    "quotes": lambda: logger.error('"quoted" \\ \x01'),
    "two-lines": lambda: logger.error("one\ntwo"),
    "odd-level": lambda: logger.log(25, "between"),
    "level-60": lambda: logger.log(60, "above"),
    "level-35": lambda: logger.log(35, "thirty-five"),
    "level-5": lambda: logger.log(5, "below"),
    "exception": with_traceback,
    "exception-then-record": with_exc_info_twice,
    "exc-info-none": lambda: logger.error("no exception", exc_info=True),
    "stack-info": lambda: logger.error("with stack", stack_info=True),
    "extra": lambda: logger.error("with extra", extra={"order": 7, "odd": Odd(), "none": None}),
    "extra-clash": lambda: logger.error("clash", extra={"requestId": "mine", "location": "here", "level2": 1}),
    "extra-request-id": lambda: logger.error("clash", extra={"aws_request_id": "mine", "tenant_id": "t"}),
    "print": lambda: print("printed"),
    "print-no-newline": lambda: print("printed", end=""),
    "print-many": many_prints,
    "print-stderr": lambda: print("to stderr", file=sys.stderr),
    "print-accents": lambda: print("äöü€"),
    "print-json": lambda: print('{"a": 1}'),
    "write-lines": lambda: sys.stdout.writelines(["a\n", "b\n"]),
    "binary-write": lambda: (sys.stdout.buffer.write(b"binary\n"), sys.stdout.buffer.flush()),
    "print-then-log": lambda: (print("first"), logger.error("second"), print("third"))[0],
    "changed-level": changed_level,
    "own-handler": own_handler,
    "handler-facts": handler_facts,
    "direct-to-sink": direct_to_sink,
    "captured-warning": a_warning,
    "fails": fails,
    "bad-format": stop_handling,
    "with-tenant": lambda: logger.error("tenant"),
    "without-tenant": lambda: logger.error("no tenant"),
    "logger-disabled": lambda: (logging.disable(), logger.error("never"), logging.disable(0))[0],
    "basic-config": lambda: (logging.basicConfig(level=10), logger.error("still ours"))[0],
}

logger.warning("while importing")
print("printed while importing")


def handler(event, context):
    if context.aws_request_id == "end-of-batch":
        os._exit(0)
    ACTIONS[context.aws_request_id]()
    return None
