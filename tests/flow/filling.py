"""Handlers that use nearly all of the function's memory and come back, and handlers that go on until they are killed
(tools/guard_memory.py)."""

import array
import contextlib
import ctypes
import io
import mmap
import resource
import threading
import time

MB = 1 << 20
STEP = 256 << 10


class Meter:
    """What is in use, as the kernel counts: of the group less what it can take back, else the resident size."""

    def __init__(self, event):
        self.usage, self.stat = event.get("usage"), event.get("stat")
        self.fields = tuple(event.get("reclaimable", ()))
        self.limit = event["limit"]

    def used(self):
        if self.usage is None:
            with open("/proc/self/statm", "rb") as file:
                return int(file.read().split()[1]) * mmap.PAGESIZE
        with open(self.usage, "rb") as file:
            used = int(file.read())
        with open(self.stat) as file:
            return used - sum(int(line.split()[1]) for line in file if line.split()[0] in self.fields)

    def left_to(self, percent):
        return int(self.limit * percent / 100) - self.used()


def touched(size):
    return bytearray(b"x") * size


def peak_in_one_step(meter, percent):
    kept = [touched(max(0, meter.left_to(percent)))]
    while (left := meter.left_to(percent)) > 32 << 10:
        kept.append(touched(min(left, STEP)))
    return kept


def peak_in_steps(meter, percent):
    kept = []
    while (left := meter.left_to(percent)) > 32 << 10:
        kept.append(touched(min(left, STEP)))
    return kept


def peak(event):
    meter = Meter(event)
    kept = globals()[f"peak_{event['how']}"](meter, event["percent"])
    reached = meter.used()
    time.sleep(event["hold_s"])
    return {"reached": 100 * reached / meter.limit, "n": len(kept)}


# ---- until the kill -------------------------------------------------------------------------------------------------


def steps_of_256_kb(limit):
    kept = []
    while True:
        kept.append(touched(STEP))


def steps_of_4_mb(limit):
    kept = []
    while True:
        kept.append(touched(4 * MB))


def one_step(limit):
    return len(touched(2 * limit))


def a_list_of_numbers(limit):
    kept = []
    while True:
        kept += range(len(kept), len(kept) + 1000)


def a_dict_of_text(limit):
    kept = {}
    while True:
        kept[len(kept)] = f"value {len(kept)}"


def a_file_in_memory(limit):
    file = io.BytesIO()
    while True:
        file.write(b"x" * 65536)


def an_array(limit):
    kept = array.array("d")
    while True:
        kept.extend([1.0] * 10_000)


def native_with_the_gil(limit):
    library = ctypes.PyDLL(None)
    library.malloc.restype = ctypes.c_void_p
    library.malloc.argtypes = [ctypes.c_size_t]
    library.memset.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t]
    while True:
        library.memset(library.malloc(MB), 1, MB)


def pages_of_a_mapping(limit):
    kept = mmap.mmap(-1, 2 * limit)
    for at in range(0, 2 * limit, mmap.PAGESIZE):
        kept[at] = 1


def another_thread(limit):
    thread = threading.Thread(target=steps_of_256_kb, args=(limit,), daemon=True)
    thread.start()
    thread.join()


def swallowing(limit):
    kept = []
    while True:
        with contextlib.suppress(BaseException):
            kept.append(touched(STEP))


WAYS = [
    steps_of_256_kb,
    steps_of_4_mb,
    one_step,
    a_list_of_numbers,
    a_dict_of_text,
    a_file_in_memory,
    an_array,
    native_with_the_gil,
    pages_of_a_mapping,
    another_thread,
    swallowing,
]


def handler(event, context):
    if "usage" not in event:  # nobody kills this process at its limit
        resource.setrlimit(resource.RLIMIT_DATA, (3 * event["limit"], resource.RLIM_INFINITY))
    if event["do"] == "peak":
        return peak(event)
    if event["do"] == "nothing":
        return None
    return globals()[event["do"]](event["limit"])
