# cython: language_level=3, binding=False, auto_pickle=False, always_allow_keywords=False, embedsignature=False
"""The loop: poll, decode, dispatch, respond.

Owns the Runtime API connection and the invocation under way.  Promises: an invocation is answered once, by this
process only; what a plain handler does not use is not loaded.  Must not know: how a Runner is declared (runner.py),
how an error is told (errors.py), what its callers import.
Source: Runtime API, version 2018-06-01.
"""

import sys
from os import environ as _environ

cimport cython
from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AsString, PyBytes_FromStringAndSize, PyBytes_Size
from cpython.exc cimport PyErr_CheckSignals
from libc.errno cimport EAGAIN, ECONNABORTED, ECONNRESET, EINTR, EPIPE, ETIMEDOUT
from libc.string cimport memcmp, memcpy, memset, strcspn, strlen

cdef extern from "Python.h":
    const char *PyUnicode_AsUTF8AndSize(object text, Py_ssize_t *size) except NULL
    const char *PyUnicode_AsUTF8AndSize_or_null "PyUnicode_AsUTF8AndSize"(object text, Py_ssize_t *size)
    ctypedef struct PyObject
    int PyDict_Next(object mapping, Py_ssize_t *at, PyObject **key, PyObject **item)
    Py_ssize_t PyDict_Size(object mapping) except -1
    void PyErr_Clear()
    double PyFloat_AsDouble(object number) except? -1
    long long PyLong_AsLongLongAndOverflow(object number, int *overflow) except? -1
    char *PyOS_double_to_string(double number, char code, int precision, int flags, int *kind) except NULL
    int Py_DTSF_ADD_DOT_0
    void PyMem_Free(void *memory)
    int PyGC_Disable()
    int PyGC_Enable()
    int Py_EnterRecursiveCall(const char *doing)    # not 0: the exception is set
    void Py_LeaveRecursiveCall()
    const char *Py_GetVersion()
    object PyImport_ImportModule(const char *name)
    object PyUnicode_InternFromString(const char *text)
    object PyUnicode_DecodeLatin1(const char *s, Py_ssize_t size, const char *errors)
    object PyUnicode_DecodeUTF8(const char *s, Py_ssize_t size, const char *errors)
    int PyUnicode_CompareWithASCIIString(object text, const char *other)
    Py_ssize_t PyUnicode_FindChar(object text, Py_UCS4 char, Py_ssize_t start, Py_ssize_t end, int direction) except -2
    Py_ssize_t PyUnicode_GetLength(object text) except -1

cdef extern from "time.h" nogil:
    struct timespec:
        long tv_sec
        long tv_nsec
    int clock_gettime(int clock, timespec *now)
    int CLOCK_REALTIME

cdef extern from *:
    """
    #ifndef FASTLAMBDA_VERSION
    #define FASTLAMBDA_VERSION "0"
    #endif
    """
    const char *FASTLAMBDA_VERSION

__version__ = FASTLAMBDA_VERSION.decode()

# os.environ's own dict of bytes: a look-up in this module's namespace costs more than one in the dict.
cdef dict ENVIRON = _environ._data

# One read takes the head and a small event; a larger body goes straight to its own object.
cdef enum:
    READ_ROOM = 32 * 1024
    SCRATCH_KEPT = 256 * 1024      # an unusually large head does not stay in memory
    SPILL_ROOM = 4096              # what may follow a body: chunk ends, the next answer
    MAX_RESULT = 6 * 1024 * 1024 + 100   # what the platform accepts
    MAX_LOST = 20                  # connections that one request may lose to user code that closes their descriptors
    MAX_BODY = 256 * 1024 * 1024   # an announced length over this is refused, not allocated (the platform sends 6 MiB)


# Where a streamed result is.
cdef enum:
    STREAM_NONE = 0     # none was begun, or it has ended
    STREAM_BEGUN = 1    # its head is rendered and goes out with the first chunk: nothing was sent
    STREAM_SENT = 2     # the server has seen its beginning: only trailers can tell of an error now
    STREAM_BROKEN = 3   # cut off; the server sees a body that does not end


include "_cython/errors.pxi"
include "_cython/config.pxi"
include "_cython/invocation.pxi"
include "_cython/channel.pxi"
include "_cython/context.pxi"
include "_cython/json.pxi"
include "_cython/guard.pxi"


# ---- the loop -----------------------------------------------------------------------------------------------------

cdef class Runtime:
    """One polling loop: takes events from its Channel, gives them to `call`, posts what comes back.

    Args:
        config: what the environment says.
        call: takes (event, context), returns the result.
        decode: bytes -> event, for a declared type; None: JSON, or raw bytes when the content type is not JSON's.
        encode: result -> bytes, for a declared type; None: JSON, and bytes as they are.
        is_offline: without a Runtime API: its decode() and encode() are those of the loop.
    """

    def __init__(self, Config config, call, decode=None, encode=None, bint is_offline=False, /):
        if config.after_timeout is not None and config.after_timeout not in ("exit", "keep", "raise"):
            misused(b"after timeout", config.after_timeout)
        self.config = config
        self.codec = Codec(config.json, config.json_layout)
        self.bind(call, decode, encode)
        if not is_offline:
            if not config.runtime_api:
                misused(b"no address", None)
            self.channel = Channel(config.runtime_api, config.http)

    def __dealloc__(self):
        guard_give_slot(self.slot)

    def bind(self, call, decode=None, encode=None, /):
        """Says what is called for an event."""
        self.call = call
        self.decoder = decode
        self.encoder = encode

    @cython.always_allow_keywords(True)
    def serve(self, long limit=-1):
        """Answers invocations: for ever, or `limit` of them, or until SIGTERM where something is to be done then."""
        cdef bint is_pipelined = self.config.pipeline
        self.home = sys._getframe()
        self.begin()
        try:
            while limit != 0 and not self.is_stopping:
                self.serve_one(is_pipelined and limit != 1 and self.after is None)
                limit -= 1
                if self.interruption is not None:
                    late(b"fastlambda.ending", b"after_interruption")(self)
        except BaseException:
            if self.interruption is not None and not self.is_polling:   # its report could not be posted
                late(b"fastlambda.ending", b"after_interruption")(self)
            if not (self.is_stopping and self.is_polling):   # else: hooks.Stop, out of the poll
                raise
        finally:
            self.release_guard()
        if self.is_stopping:
            late(b"fastlambda.hooks", b"shut_down")()

    cpdef int begin(self) except -1:
        """The end of init: the snapshot, and what the function has registered."""
        cdef str how = self.config.initialization_type
        guard_cancel_alarm()
        self.codec.look_around()
        if how is not None and how == "snap-start":
            late(b"fastlambda.hooks", b"pass_snapshot")(self.channel)
        if self.config.register_extension or "fastlambda.hooks" in sys.modules:
            late(b"fastlambda.hooks", b"begin")(self)
        return 0

    cdef int serve_one(self, bint with_next) except -1:
        if self.face is not None:
            self.face.turn()
            return 0
        return self.dispatch(self.poll(), self.call, with_next)

    cpdef int dispatch(self, Invocation inv, call, bint with_next) except -1:
        """All that comes between an event and the end of its invocation; `call` is what takes it."""
        cdef Context context = Context.__new__(Context)   # without __init__, whose arguments would be packed for it
        try:
            inv.event = self.decode(inv)
            context.begin(inv, self.config)
            inv.result = call(inv.event, context)
            payload = self.encode(inv.result)
        except BaseException as exc:
            self.post_failure(inv, exc)
        else:
            if self.interruption is None:
                self.post_answer(inv, payload, with_next and inv.after is None)
            else:
                self.post_answer_anyway(inv, inv.result, payload)
        inv.let_go()    # where no result was posted
        if inv.after is not None:
            late(b"fastlambda.failures", b"run_last")(self, inv)
        return 0

    cpdef int run_after(self, after) except -1:
        """What comes after the answer; the log says where it is when Lambda is about to end the process."""
        if self.slot == NULL:
            after()
            return 0
        guard_begin_after(guard_shared(), self.slot)
        try:
            after()
        finally:
            guard_answer(self.slot)
        return 0

    # The steps, also taken one by one by the asynchronous loop in runner.py.

    cpdef Invocation poll(self):
        """Waits for an event that has not been handled yet."""
        cdef Invocation inv
        if self.must_check_memory:
            self.leave_memory()
        self.is_polling = True
        inv = self.channel.next()
        self.is_polling = False
        if self.refused_id is not None:
            refused_id, self.refused_id = self.refused_id, None
            inv = late(b"fastlambda.failures", b"skip_refused")(self, inv, refused_id)
        self.invocation = inv
        self.publish_trace(inv)
        self.arm(inv)
        return inv

    cpdef object decode(self, Invocation inv):
        """The event: the declared type, a JSON value, or bytes when the content type is not exactly JSON's."""
        if PyBytes_Size(inv.body) >= LARGE_EVENT:
            keep_arenas(self.config)
        if self.decoder is not None:
            return self.decoder(inv.body)
        return self.codec.decode(inv.body) if inv.has_json() else inv.body

    cpdef object encode(self, result):
        """The payload to post: bytes, or text in JSON."""
        cdef Raw raw
        if isinstance(result, bytes):
            raw = <Raw>Raw.__new__(Raw)
            raw.payload = bytes(result)
            return raw
        if isinstance(result, Stream):
            return result
        if self.encoder is not None:
            return self.encoder(result)
        return self.codec.encode(result)

    def answer(self, Invocation inv, payload, /):
        """Posts what encode() returned."""
        self.post_answer(inv, payload, False)

    cpdef int post_answer_anyway(self, Invocation inv, result, payload) except -1:
        """Posts what an interrupted handler has returned, if that was on purpose; else the interruption."""
        if not isinstance(payload, Stream):
            self.begin_report(None)   # nothing more is interrupted
        if late(b"fastlambda.interruption", b"is_overruled")(self, result):
            self.post_failure(inv, self.interruption)
            return 0
        return self.post_answer(inv, payload, False)

    cdef int post_answer(self, Invocation inv, payload, bint with_next) except -1:
        """Posts a result, and the next poll in the same write if asked to; a refusal is logged and never repeated."""
        if self.face is not None and self.face.post(inv, payload):
            return 0      # through what has replaced a method of AWS's client
        if inv.stream is not None or isinstance(payload, Stream):
            late(b"fastlambda.streams", b"answer")(self, inv, payload)
            return 0
        self.claim()
        if isinstance(payload, Raw):
            body = self.channel.post_result(inv, (<Raw>payload).payload, b"Content-Type: application/unknown\r\n",
                                            with_next)
        else:
            body = self.channel.post_result(inv, payload, b"Content-Type: application/json\r\n", with_next)
        return self.note_answer(inv, self.channel.http_status, body)

    def answer_as(self, Invocation inv, payload, bytes headers, /):
        """Posts a result, bytes or text, with header lines of the caller's."""
        self.claim()
        body = self.channel.post_result(inv, payload, headers, False)
        self.note_answer(inv, self.channel.http_status, body)

    def settle(self, Invocation inv, int http_status, bytes body, /):
        """Takes note of how the Runtime API answered a streamed result; 0: that is not known, and it may come again."""
        if http_status:
            self.note_answer(inv, http_status, body)
        else:
            self.refused_id = inv.attempt_id

    cdef int note_answer(self, Invocation inv, int http_status, bytes body) except -1:
        if http_status // 100 != 2:   # 202; other servers than AWS's say 200
            if http_status != 410 and http_status != 413:   # with these the server has finished it
                self.refused_id = inv.attempt_id
            late(b"fastlambda.errors", b"refused")("response", inv.request_id, self.channel.runtime_api, http_status, body)
        self.codec.settle()
        if self.after is not None:
            self.run_after(self.after)
        return 0

    def fail(self, Invocation inv, exc, /):
        """Posts an error; ends the process when it asked for that."""
        self.post_failure(inv, exc)

    cdef int post_failure(self, Invocation inv, exc) except -1:
        self.begin_report(exc)
        tell = late_if_possible(b"fastlambda.failures", b"fail")
        if tell is None:
            self.post_bare(inv, exc)
        tell(self, inv, exc)
        return 0

    def fail_bare(self, Invocation inv, exc, /):
        """Posts an error without loading anything; raises `exc`."""
        self.post_bare(inv, exc)

    cdef int post_bare(self, Invocation inv, exc) except -1:
        """Posts an error where no file can be opened, or no memory is left, to tell it better; then the loop ends."""
        cdef bytes kind = type(exc).__name__.encode("ascii", "ignore").replace(b"_", b"")
        if not kind.isalnum():
            kind = b"Error"
        cdef bytes body = self.codec.encode_exactly(
            {"errorMessage": str(exc)[:1000], "errorType": kind.decode(), "stackTrace": []})
        self.claim()
        self.channel.post_error(
            inv, body, b"Content-Type: application/json\r\nLambda-Runtime-Function-Error-Type: %b\r\n" % kind)
        raise exc

    # -- the guard: who answers, and what interrupts (docs/guard.md) --------------------------------------------------

    cdef int arm(self, Invocation inv) except -1:
        """From here to claim(), the guard may interrupt the handler, and may answer in its place."""
        cdef guard_call call
        cdef http1_span request_id = inv.span(RAPI_REQUEST_ID), invocation_id = inv.span(RAPI_INVOCATION_ID)
        cdef guard *g = guard_shared()
        if self.slot == NULL:
            self.open_guard()
            if self.slot == NULL:
                return 0
        if self.is_guarded and not self.is_started and (inv.deadline_ms or g.config.memory_limit):
            self.start_guard()
        call.request_id = request_id.ptr
        call.request_id_len = request_id.len
        call.invocation_id = invocation_id.ptr
        call.invocation_id_len = invocation_id.len
        call.deadline_ms = inv.deadline_ms if self.is_guarded else 0
        call.fd = self.channel.fd
        call.identity = self.channel.identity
        call.is_interruptible = self.is_interruptible
        self.task = self.interruption = None
        guard_arm(g, self.slot, &call)   # an id that is too long for the slot runs unguarded
        return 0

    cdef int leave_child(self, exc) except -1:
        """Ends a forked child: the invocation is its parent's."""
        self.channel.fd = -1     # closed by the fork hook
        if isinstance(exc, SystemExit):
            raise exc
        late(b"fastlambda.errors", b"leave_child")(exc)
        return 0

    cdef int note_reason(self, int reason) except -1:
        """What the slot said.  When the guard has answered, this waits for the end of the process, without the GIL."""
        wait_if_lost(reason)
        if reason == GUARD_MEMORY:
            self.must_check_memory = True
        return 0

    cdef int begin_report(self, exc) except -1:
        """The handler is over: nothing interrupts the rendering of its error, and until claim() the guard may answer."""
        if self.slot == NULL:
            return 0
        if guard_is_forked(guard_shared()):
            self.leave_child(exc)
        return self.note_reason(guard_report(self.slot))

    cpdef int claim(self) except -1:
        """Makes the answer ours: what is written has been rendered, and the write follows."""
        if self.slot == NULL:
            return 0
        if guard_is_forked(guard_shared()):
            self.leave_child(None)
        return self.note_reason(guard_answer(self.slot))

    def interrupt(self, *number_and_frame):
        """The Python-level handler of the guard's signal: raises where the handler is, or cancels its task.

        A signal that comes too late finds nothing to raise for: the slot's generation says so.
        """
        cdef int reason = guard_take_interrupt(self.slot) if self.slot != NULL else GUARD_NO_REASON
        if reason != GUARD_NO_REASON:
            exc = late(b"fastlambda.interruption", b"interrupt")(
                self, number_and_frame[1], reason == GUARD_MEMORY, guard_resident_bytes() >> 20,
                guard_shared().config.memory_limit >> 20, self.slot.timeout_ms, guard_remaining_ms(self.slot),
                self.slot.generation)
        elif self.interruption is not None and self.is_pending(self.slot.generation):
            exc = late(b"fastlambda.interruption", b"again")(
                self, number_and_frame[1], guard_is_last_call(self.slot), self.slot.generation)
        else:
            exc = None
            if callable(self.previous):
                self.previous(*number_and_frame)
        if exc is not None:
            raise exc

    def remaining_ms(self):
        """Milliseconds until the deadline of the invocation under way, or the last one, as the guard knows it; -1: unknown."""
        return -1 if self.slot == NULL else guard_remaining_ms(self.slot)

    def is_pending(self, uint64_t generation):
        """Whether the invocation of that generation is still to be answered by its handler."""
        return self.slot != NULL and guard_is_pending(self.slot, generation)

    cdef int open_guard(self) except -1:
        """Takes a slot, with the first event; the thread starts when there is something to watch."""
        cdef guard *g = guard_shared()
        cdef guard_config config
        cdef http1_span number
        cdef int64_t limit = 0, margin = <int64_t>self.config.memory_margin_mb << 20
        if guard_is_unused(g) and not guard_is_forked(g):
            with nogil:
                guard_stop(g)        # of a Runtime that is no more
        if guard_is_unused(g) or guard_is_forked(g):
            if self.config.guard and self.config.memory_limit_in_mb:
                number.ptr = PyUnicode_AsUTF8AndSize(self.config.memory_limit_in_mb, <Py_ssize_t *>&number.len)
                limit = min(rapi_deadline_ms(number), <int64_t>1 << 30) << 20
            config.is_margin_chosen = margin >= 0
            if margin < 0:
                margin = min(max(limit // 20, <int64_t>8 << 20), <int64_t>64 << 20)
            config.margin_ns = <uint64_t>self.config.timeout_margin_ms * 1000000
            config.last_ns = <uint64_t>self.config.timeout_last_ms * 1000000
            config.memory_limit = limit
            config.memory_margin = margin
            config.runtime_host = self.channel.host
            config.runtime_port = self.channel.port
            config.prefix = self.channel.prefix
            config.common = PyBytes_AsString(self.channel.common)
            config.common_len = PyBytes_Size(self.channel.common)
            config.interrupt_signal = config.dump_signal = 0
            config.handler_thread = pthread_self()
            config.prepare = load_what_tells
            if guard_open(g, &config) < 0:
                return 0
            guard_watch_forks(g)
        self.slot = self.channel.slot = guard_take_slot(g)
        self.is_guarded = self.config.guard and self.slot != NULL
        return 0

    cdef int start_guard(self) except -1:
        """Claims the two signals and starts the thread: once in a process."""
        cdef guard *g = guard_shared()
        self.is_started = True
        if not g.is_started:
            g.config.dump_signal = claim_dump_signal()
            g.config.interrupt_signal = claim_interrupt_signal()
            g.config.handler_thread = pthread_self()
        if g.config.interrupt_signal:
            try:
                self.previous = late(b"_signal", b"signal")(g.config.interrupt_signal, self.interrupt)
                self.is_interruptible = True
            except ValueError:               # not the main thread: only step two
                pass
        if guard_start(g) < 0:
            self.is_guarded = False          # no thread to be had: as with FASTLAMBDA_GUARD=0
        return 0

    def release_guard(self):
        """Gives the slot back, and what the process gave for it when no other loop uses it.  May be called twice."""
        cdef guard *g = guard_shared()
        if self.slot == NULL or guard_is_forked(g):
            return
        guard_give_slot(self.slot)
        self.slot = self.channel.slot = NULL
        self.is_started = False
        if guard_is_unused(g):
            with nogil:
                guard_stop(g)
            if self.is_interruptible:
                PyErr_CheckSignals()         # nobody sends any more: the last one is handled here
                late(b"_signal", b"signal")(g.config.interrupt_signal, self.previous)
                self.is_interruptible = False
                self.previous = None

    cdef int leave_memory(self) except -1:
        """After MemoryExhausted: gives back what can be given back, and ends a process that stays full."""
        self.must_check_memory = False
        self.task = self.interruption = None # its traceback holds the handler's variables
        late(b"gc", b"collect")()
        arenas_release()
        FASTLAMBDA_TRIM_HEAP()
        if guard_memory_is_low(guard_shared()):
            late(b"fastlambda.errors", b"complain")(
                "memory is still nearly exhausted after the invocation: the process ends, a fresh one follows")
            raise SystemExit(GUARD_EXIT_MEMORY)
        return 0

    cpdef int publish_trace(self, Invocation inv) except -1:
        """_X_AMZN_TRACE_ID for tracing libraries; written only when it changes (it costs a putenv)."""
        cdef http1_span span = inv.span(RAPI_TRACE_ID)
        known = ENVIRON.get(b"_X_AMZN_TRACE_ID")
        if span.len == 0:
            if known is not None:
                del _environ["_X_AMZN_TRACE_ID"]
        elif not (isinstance(known, bytes) and <size_t>PyBytes_Size(known) == span.len
                  and memcmp(PyBytes_AsString(known), span.ptr, span.len) == 0):
            # What os.environ[...] = trace_id does, less its encoding of both and setenv(3)'s keeping every value.
            check(envvar_put(b"_X_AMZN_TRACE_ID", span.ptr, span.len), b"noting the trace id of", self.channel)
            ENVIRON[b"_X_AMZN_TRACE_ID"] = inv.raw(RAPI_TRACE_ID)
        return 0


@cython.final
cdef class Raw:
    """A result of bytes, which is posted as it is."""
    cdef readonly bytes payload


include "_cython/logs.pxi"
include "_cython/process.pxi"
