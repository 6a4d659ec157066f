"""Functions whose process has something that hangs when it is to end; and programs that embed the loop."""

import asyncio
import atexit
import ctypes
import logging.handlers
import os
import sys
import threading
import time

import fastlambda

LONG = 3600.0


def twenty_threads():
    for _ in range(20):
        threading.Thread(target=time.sleep, args=(LONG,)).start()
    time.sleep(LONG)


def hanging_atexit():
    atexit.register(time.sleep, LONG)
    time.sleep(LONG)


def hanging_callback():
    fastlambda.on_shutdown(time.sleep, LONG)
    time.sleep(LONG)


def full_stdout():
    while True:
        os.write(1, bytes(65536))


def gil_after():
    """The interpreter's lock is held in C once the report has left."""

    def hold():
        mutex = ctypes.create_string_buffer(128)
        library = ctypes.PyDLL(None)
        library.pthread_mutex_lock(mutex)
        library.pthread_mutex_lock(mutex)

    fastlambda.on_shutdown(hold)
    time.sleep(LONG)


def buffers():
    target = logging.FileHandler(os.environ["OUT"])
    logging.getLogger("x").addHandler(logging.handlers.MemoryHandler(1000, logging.CRITICAL + 1, target))
    logging.getLogger("x").warning("logged")
    stream = open(os.environ["OUT"], "a")  # noqa: SIM115  stays open, as a program's files do
    fastlambda.on_shutdown(lambda: (stream.write("shut down\n"), stream.flush()))
    sys.__stderr__.write("told to the standard error stream")
    time.sleep(LONG)


def handler(event, context):
    if event["do"] == "pid":
        return os.getpid()
    return globals()[event["do"]]()


class Keeping(fastlambda.Runner):
    after_timeout = "keep"

    def run(self, shared, event):
        if event.event["do"] == "pid":
            return os.getpid()
        time.sleep(LONG)


class Embedded(fastlambda.Runner):
    async def run(self, shared, event):
        await asyncio.sleep(LONG)


def embed(how):
    try:
        if how == "exec":
            config = fastlambda.Config.from_env()
            config.after_timeout = "raise"
            fastlambda.exec(Embedded, config)
        else:
            asyncio.run(fastlambda.exec_async(Embedded))
    except fastlambda.InvocationTimeout:
        print("the loop raised InvocationTimeout")


if __name__ == "__main__":
    embed(sys.argv[1])
