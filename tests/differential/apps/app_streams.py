"""What stands in sys.stdout and sys.stderr, and what a function finds that nobody has imported for it."""

import collections
import logging
import os
import sys
import weakref


def replaced_write(stream):
    seen = []
    original = stream.write
    stream.write = lambda text: (seen.append(text), original(text.upper()))[1]
    print("print", file=stream)
    if stream is sys.stdout:
        logging.warning("through the sink")
    del stream.write
    print("again", file=stream)
    return seen


def attributes(stream):
    stream.mine = 1
    return [stream.mine, hasattr(stream, "stream"), stream.stream.fileno(), type(stream).__name__]


def replaced_stream(stream):
    before = stream.stream
    stream.stream = open(os.devnull, "w")  # noqa: SIM115
    print("nowhere", file=stream)
    stream.stream = before
    print("here", file=stream)


ACTIONS = {
    "weakref": lambda: [weakref.ref(s)() is s for s in (sys.stdout, sys.stderr)],
    "attributes": lambda: [attributes(s) for s in (sys.stdout, sys.stderr)],
    "write": lambda: [
        # The time in a log line is not the same in two runs.
        [text for text in replaced_write(s) if not text.startswith("[WARNING]")]
        for s in (sys.stdout, sys.stderr)
    ],
    "stream": lambda: [replaced_stream(s) for s in (sys.stdout, sys.stderr)],
    "writelines": lambda: sys.stdout.writelines(["a\n", "b\n"]),
    "with": lambda: sys.stdout.__enter__() is sys.stdout,
    "buffer": lambda: [sys.stdout.buffer.write(b"bytes\n"), sys.stdout.flush()],
    "own-names": lambda: sorted(vars(sys.stdout)),
    "weak-keys": lambda: list(weakref.WeakKeyDictionary({sys.stdout: 1}).values()),
    "collections-abc": lambda: issubclass(list, collections.abc.Sequence),
}


def handler(event, context):
    if context.aws_request_id == "end-of-batch":
        os._exit(0)
    return ACTIONS[context.aws_request_id]()
