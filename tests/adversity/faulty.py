"""Functions that do to the runtime what functions do."""

import os
import signal
import sys

STOPPED = []


def echo(event, context):
    return event


def on_term(number, frame):
    sys.stderr.write("handler of SIGTERM ran\n")
    sys.exit(7)


def listens_to_sigterm(event, context):
    signal.signal(signal.SIGTERM, on_term)
    return event


def signals_another_thread(event, context):
    """A thread waits for the file that the event names, and then has SIGTERM delivered to itself."""
    import threading
    import time

    def wait():
        while not os.path.exists(event):
            time.sleep(0.01)
        signal.pthread_kill(threading.get_ident(), signal.SIGTERM)

    signal.signal(signal.SIGTERM, on_term)
    threading.Thread(target=wait, daemon=True).start()


TICKS = 0


def tick(number, frame):
    global TICKS
    TICKS += 1


def is_ticked(event, context):
    """From the first event on, a signal every half millisecond, handled in Python."""
    if event == "start":
        signal.signal(signal.SIGALRM, tick)
        signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
        return "started"
    if event == "stop":
        signal.setitimer(signal.ITIMER_REAL, 0)
        return TICKS
    return event


def forks_and_returns(event, context):
    """Both come back from here."""
    pid = os.fork()
    if pid:
        os.waitpid(pid, 0)
    return {"pid": os.getpid()}


def forks_and_raises(event, context):
    pid = os.fork()
    if pid:
        _, status = os.waitpid(pid, 0)
        return os.waitstatus_to_exitcode(status)
    raise ValueError("in the child")


def forks_and_exits(event, context):
    pid = os.fork()
    if pid:
        _, status = os.waitpid(pid, 0)
        return os.waitstatus_to_exitcode(status)
    sys.exit(5)


def forks_in_a_signal(event, context):
    """The child comes back into the poll."""

    def fork(number, frame):
        if os.fork() == 0:
            sys.stderr.write("the child is in the poll\n")
            sys.stderr.flush()

    signal.signal(signal.SIGUSR1, fork)
    return os.getpid()


def leaks(event, context):
    held = []
    while True:
        try:
            held.append(os.open("/dev/null", os.O_RDONLY))
        except OSError:
            STOPPED.append(held)
            if event == "raise":
                raise
            return len(held) > 10


def plain(event, context):
    return "plain"
