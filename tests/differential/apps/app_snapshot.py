"""SnapStart hooks of the user's; FAIL names the phase that fails."""

import os

import snapshot_restore_py

FAIL = os.environ.get("FAIL", "")


@snapshot_restore_py.register_before_snapshot
def first_before():
    print("before 1", flush=True)
    if FAIL == "before":
        raise ValueError("cannot freeze")
    if FAIL == "before-exit":
        raise SystemExit(3)


def second_before(a, b=0):
    print("before 2", a, b)


snapshot_restore_py.register_before_snapshot(second_before, 1, b=2)


@snapshot_restore_py.register_after_restore
def first_after():
    print("after 1")
    if FAIL == "after":
        raise KeyError("cannot thaw")
    if FAIL == "after-exit":
        raise SystemExit(4)


@snapshot_restore_py.register_after_restore
def second_after():
    print("after 2")


def handler(event, context):
    if context.aws_request_id == "end-of-batch":
        os._exit(0)
    return [len(snapshot_restore_py.get_before_snapshot()), len(snapshot_restore_py.get_after_restore())]
