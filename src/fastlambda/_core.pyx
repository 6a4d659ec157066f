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
    MAX_BODY = 256 * 1024 * 1024   # an announced length over this is refused, not allocated (the platform sends 6 MiB)


# Where a streamed result is.
cdef enum:
    STREAM_NONE = 0     # none was begun, or it has ended
    STREAM_BEGUN = 1    # its head is rendered and goes out with the first chunk: nothing was sent
    STREAM_SENT = 2     # the server has seen its beginning: only trailers can tell of an error now
    STREAM_BROKEN = 3   # cut off; the server sees a body that does not end


# ---- what is loaded late ------------------------------------------------------------------------------------------

cdef object late(const char *room, const char *name):
    """`name` of a module that is loaded at this moment, if it has not been: the way to whatever a plain handler does not
    use.  One call, because an import statement is ten times as long in machine code, and there are fifty of them.

    The name is interned: the interpreter's cache of attributes keeps every string that it is asked for by its address.
    """
    return getattr(PyImport_ImportModule(room), PyUnicode_InternFromString(name))


cdef object late_if_possible(const char *room, const char *name):
    """The same, or None where no descriptor or no memory is left to load it with."""
    try:
        return late(room, name)
    except (OSError, ImportError, MemoryError):
        return None


# ---- errors -------------------------------------------------------------------------------------------------------

cdef int check(ssize_t status, const char *doing, Channel channel) except -1:
    """The one converter from a native status to an exception."""
    return 0 if status >= 0 else throw(status, doing, channel)


cdef int throw(ssize_t status, const char *doing, Channel channel) except -1:
    transport_error = late_if_possible(b"fastlambda.errors", b"transport_error")
    if transport_error is None:   # mostly because no descriptor is left, which is what there is to tell
        raise OSError(-status, "%s the Runtime API at %s" % (doing.decode(), channel.runtime_api))
    raise transport_error(status, doing.decode(), channel.runtime_api)


cdef int misused(const char *what, value) except -1:
    """Raises the UsageError that errors.py has under that name."""
    raise late(b"fastlambda.errors", b"usage_error")(what.decode(), value)


cdef int cut_short(ssize_t status, Channel channel, size_t at, size_t size) except -1:
    """Raises for a body of `size` bytes (0: chunked), of which `at` have come."""
    raise late(b"fastlambda.errors", b"cut_short")(status, channel.runtime_api, at, size)


cdef int not_understood(const char *what, Channel channel, value) except -1:
    """Raises the ProtocolError that errors.py has under that name."""
    raise late(b"fastlambda.errors", b"protocol_error")(what.decode(), channel.runtime_api, value)


cdef int64_t now_ms() noexcept:
    cdef timespec now
    clock_gettime(CLOCK_REALTIME, &now)
    return <int64_t>now.tv_sec * 1000 + now.tv_nsec // 1000000


cdef size_t put_size_line(char *line, size_t size) noexcept:
    """The line in front of a chunk: its size in hexadecimal.  `line` has room for 24 bytes; returns those used."""
    cdef const char *names = b"0123456789abcdef"
    cdef char digits[16]
    cdef size_t n = 0, at = 0
    while size:
        digits[n] = names[size & 15]
        size >>= 4
        n += 1
    while n:
        n -= 1
        line[at] = digits[n]
        at += 1
    line[at] = c"\r"
    line[at + 1] = c"\n"
    return at + 2


# ---- configuration ------------------------------------------------------------------------------------------------

cdef class Config:
    def __init__(self, **given):
        cdef int i
        for i in range(N_SETTINGS):
            name = PyUnicode_InternFromString(SETTINGS[i].name)
            value = default = default_of(&SETTINGS[i])
            if name in given:
                value = given.pop(name)
                if not isinstance(value, str if default is None else type(default)) and value is not default:
                    raise TypeError("Config(%s=...) cannot be %r" % (name, value))
            setattr(self, name, value)
        if given:
            raise TypeError("Config() got unexpected keyword arguments: %r" % given)

    @staticmethod
    @cython.always_allow_keywords(True)
    def from_env(environ=None):
        cdef int i
        cdef str how
        cdef Config config = Config.__new__(Config)
        get = (_environ if environ is None else environ).get
        for i in range(N_SETTINGS):
            value = value_of(&SETTINGS[i], get(SETTINGS[i].variable.decode()))
            setattr(config, PyUnicode_InternFromString(SETTINGS[i].name), value)
        if not config.region:
            config.region = get("AWS_DEFAULT_REGION")
        if not get("FASTLAMBDA_INIT_LIMIT_MS"):
            # Lambda's own limits: 10 s on demand, 130 s where the time is bought beforehand.
            how = config.initialization_type
            config.init_limit_ms = 10_000 if how is None or how == "on-demand" else 130_000
        return config

    def __repr__(self):
        return "Config(function_name=%r, runtime_api=%r)" % (self.function_name, self.runtime_api)


cdef object default_of(const setting *s):
    if s.kind == SETTING_TEXT:
        return None
    return s.value != 0 if s.kind == SETTING_SWITCH else s.value


cdef object value_of(const setting *s, str text):
    """The value of a setting whose variable holds `text`; None: there is none."""
    if s.kind == SETTING_TEXT:
        return text
    if s.kind == SETTING_SWITCH:
        return text != "0" if s.value else text == "1"
    if not text:
        return s.value
    if len(text) > 9 or not text.isascii() or not text.isdecimal():
        misused(b"number", (s.variable.decode(), text[:64]))
    return int(text)


# ---- one invocation -----------------------------------------------------------------------------------------------

cdef class Invocation:
    cdef str text(self, int which):
        """Header text as AWS's client gives it to Python (ISO 8859-1 bytes, which ASCII is part of)."""
        if self.fields[which].len == 0:
            return None
        return PyUnicode_DecodeLatin1(PyBytes_AsString(self.head) + self.fields[which].start,
                                      self.fields[which].len, NULL)

    cdef bytes raw(self, int which):
        return PyBytes_FromStringAndSize(PyBytes_AsString(self.head) + self.fields[which].start, self.fields[which].len)

    cdef http1_span span(self, int which):
        """Borrows from `head`, which lives as long as this object."""
        cdef http1_span s
        s.ptr = PyBytes_AsString(self.head) + self.fields[which].start
        s.len = self.fields[which].len
        return s

    cdef bint has_json(self) noexcept:
        """Whether the event is to be read as JSON: no content type, or exactly JSON's."""
        cdef field kind = self.fields[<int>RAPI_CONTENT_TYPE]
        return kind.len == 0 or kind.len == 16 and \
            memcmp(PyBytes_AsString(self.head) + kind.start, b"application/json", 16) == 0

    cdef int let_go(self) except -1:
        """Drops what the handler got and gave.  Their end may run code of the user's."""
        self.event = self.result = self.body = None
        return 0

    @staticmethod
    def offline(bytes body, str request_id, int64_t timeout_ms=60_000, str trace_id="", /):
        """An invocation that no server sent: for tests of a handler in this process.

        Args:
            body: the event's bytes.
            request_id: ASCII.
            timeout_ms: milliseconds from now to its deadline.
            trace_id: ASCII; "": none.
        """
        cdef Invocation inv = Invocation.__new__(Invocation)
        inv.body = body
        inv.head = (request_id + trace_id).encode("ascii")
        inv.fields[<int>RAPI_REQUEST_ID].len = <uint32_t>len(request_id)
        inv.fields[<int>RAPI_TRACE_ID].start = <uint32_t>len(request_id)
        inv.fields[<int>RAPI_TRACE_ID].len = <uint32_t>len(trace_id)
        inv.deadline_ms = now_ms() + timeout_ms
        return inv

    @property
    def request_id(self):
        return self.text(RAPI_REQUEST_ID)

    @property
    def trace_id(self):
        return self.text(RAPI_TRACE_ID)

    @property
    def content_type(self):
        return self.text(RAPI_CONTENT_TYPE)

    @property
    def attempt_id(self):
        """What tells attempts at one asynchronous event apart, where the server says; else the request id."""
        return self.text(RAPI_INVOCATION_ID) or self.text(RAPI_REQUEST_ID)


cdef int wait_if_lost(int status) except -1:
    """When the guard owns the connection, nothing is written any more: it ends the process."""
    if status == GUARD_LOST:
        with nogil:
            guard_wait_for_end()
    return 0


cdef http1_span NOTHING
NOTHING.ptr = NULL
NOTHING.len = 0


cdef class Channel:
    def __cinit__(self):
        self.fd = -1
        self.incoming.data = NULL
        self.outgoing.data = NULL
        fork_watch()   # without its hook, which only a lack of memory keeps away, a child is not told from its parent
        self.n_forks = fork_count()

    def __init__(self, str runtime_api, str http=None, /):
        cdef rapi_address parts
        cdef bytes address = runtime_api.encode()
        cdef const char *version = Py_GetVersion()
        if not rapi_read_address(PyBytes_AsString(address), PyBytes_Size(address), &parts):
            misused(b"address", runtime_api)
        self.runtime_api = runtime_api
        self.use_h11 = http == "h11"
        self.host = parts.host.ptr[:parts.host.len]
        self.port = parts.port.ptr[:parts.port.len]
        self.prefix = parts.prefix.ptr[:parts.prefix.len]
        self.common = b"Host: %b\r\nUser-Agent: fastlambda/%b-python/%b\r\n" % (
            parts.authority.ptr[:parts.authority.len], FASTLAMBDA_VERSION, version[:strcspn(version, b" ")])
        self.base.prefix = PyBytes_AsString(self.prefix)
        self.base.prefix_len = PyBytes_Size(self.prefix)
        self.base.common = PyBytes_AsString(self.common)
        self.base.common_len = PyBytes_Size(self.common)
        self.next_request = b"GET %b/2018-06-01/runtime/invocation/next HTTP/1.1\r\n%b\r\n" % (self.prefix, self.common)

    def __dealloc__(self):
        net_close(self.fd)
        buffer_release(&self.incoming)
        buffer_release(&self.outgoing)

    cpdef close(self):
        """Closes the connection; the next request opens another.  May be called twice."""
        net_close(self.fd)
        self.fd = -1
        self.is_next_sent = False
        self.head_len = 0
        buffer_consume(&self.incoming, buffer_len(&self.incoming))

    cdef int refuse_inherited(self) except -1:
        """Raises in a forked child of the process that made this Channel."""
        if self.n_forks != fork_count():
            misused(b"forked", None)
        return 0

    def fileno(self):
        """The connection's descriptor, -1 when there is none."""
        return self.fd

    # -- requests ---------------------------------------------------------------------------------------------------

    cpdef start_next(self):
        """GET invocation/next without waiting for its answer, which next() then reads."""
        self.refuse_inherited()
        if self.is_next_sent:
            return
        if buffer_len(&self.incoming):
            self.close()
        if self.fd < 0:
            self.connect()
        try:
            status = self.send(PyBytes_AsString(self.next_request), PyBytes_Size(self.next_request), NULL, 0, False)
        except BaseException:
            self.close()   # half a request may be on its way
            raise
        if status == 0:
            self.is_next_sent = True
        else:
            self.close()   # next() opens a fresh one

    cpdef Invocation next(self):
        """GET invocation/next: waits for an event, for hours if need be, so there is no timeout on it."""
        cdef Invocation inv
        cdef bytes body
        body = self.exchange(PyBytes_AsString(self.next_request), PyBytes_Size(self.next_request), NULL, 0, True)
        if self.http_status != 200:
            raise late(b"fastlambda.errors", b"RuntimeApiError")("GET invocation/next", self.runtime_api,
                                                                 self.http_status, body)
        inv = Invocation.__new__(Invocation)
        inv.body = body
        inv.channel = self
        inv.head = self.answer_head
        memcpy(inv.fields, self.answer_fields, sizeof(inv.fields))
        self.answer_head = None
        inv.deadline_ms = rapi_deadline_ms(inv.span(RAPI_DEADLINE_MS))
        if inv.fields[<int>RAPI_REQUEST_ID].len == 0:
            not_understood(b"id", self, None)
        if not rapi_is_header_safe(inv.span(RAPI_INVOCATION_ID)):
            not_understood(b"invocation id", self, inv.text(RAPI_INVOCATION_ID))
        return inv

    cdef bytes post_result(self, Invocation inv, object payload, bytes headers, bint with_next):
        """POST invocation/{id}/response; `payload` is bytes or str (sent as UTF-8).  The answer's body.

        With `with_next` the next poll leaves in the same write, which saves a round trip: its answer is next()'s.
        """
        cdef const char *data
        cdef Py_ssize_t size
        if isinstance(payload, str):
            data = PyUnicode_AsUTF8AndSize(payload, &size)
        else:
            data = PyBytes_AsString(payload)
            size = PyBytes_Size(payload)
        # A result that the server refuses for its size may end the connection, and the poll with it.
        return self.post(b"invocation/", inv.span(RAPI_REQUEST_ID), b"/response", headers,
                         inv.span(RAPI_INVOCATION_ID), data, size, inv, with_next and size <= MAX_RESULT)

    def post_error(self, Invocation inv, bytes body, bytes headers, bytes phase=None, /):
        """POST invocation/{id}/error, or {phase}/error without an invocation; returns the answer's status and body."""
        if inv is None:
            answer = self.post(phase, NOTHING, b"/error", headers, NOTHING, PyBytes_AsString(body), PyBytes_Size(body))
        else:
            answer = self.post(b"invocation/", inv.span(RAPI_REQUEST_ID), b"/error", headers,
                               inv.span(RAPI_INVOCATION_ID), PyBytes_AsString(body), PyBytes_Size(body))
        return self.http_status, answer

    def get_restore_next(self):
        """GET restore/next: the snapshot is taken while this waits; returns the answer's status."""
        cdef bytes request = self.next_request.replace(b"invocation/next", b"restore/next", 1)
        self.exchange(PyBytes_AsString(request), PyBytes_Size(request), NULL, 0, False)
        return self.http_status

    cdef bytes post(self, const char *path, http1_span request_id, const char *verb, bytes headers,
                    http1_span invocation_id, const char *body, size_t body_len, Invocation answered=None,
                    bint with_next=False):
        cdef http1_span lines
        lines.ptr = PyBytes_AsString(headers)
        lines.len = PyBytes_Size(headers)
        buffer_consume(&self.outgoing, buffer_len(&self.outgoing))
        check(rapi_put_post(&self.outgoing, &self.base, path, request_id, verb, lines, invocation_id, body_len),
              b"rendering a request for", self)
        return self.exchange(buffer_head(&self.outgoing), buffer_len(&self.outgoing), body, body_len, False, answered,
                             with_next)

    # -- a streamed result ------------------------------------------------------------------------------------------

    def begin_stream(self, Invocation inv, bytes headers, tuple preface=(), /):
        cdef http1_span lines
        cdef char line[24]
        cdef bytes piece
        lines.ptr = PyBytes_AsString(headers)
        lines.len = PyBytes_Size(headers)
        self.has_preface = False
        buffer_consume(&self.outgoing, buffer_len(&self.outgoing))
        check(rapi_put_post(&self.outgoing, &self.base, b"invocation/", inv.span(RAPI_REQUEST_ID), b"/response", lines,
                            inv.span(RAPI_INVOCATION_ID), RAPI_CHUNKED), b"rendering a request for", self)
        for piece in preface:
            check(buffer_append(&self.outgoing, line, put_size_line(line, PyBytes_Size(piece))) or
                  buffer_append(&self.outgoing, PyBytes_AsString(piece), PyBytes_Size(piece)) or
                  buffer_append(&self.outgoing, b"\r\n", 2), b"rendering a request for", self)
            self.has_preface = True
        self.stream_len = 0
        self.stream_state = STREAM_BEGUN

    cpdef Py_ssize_t write_chunk(self, data) except -1:
        cdef Py_buffer view
        cdef Py_ssize_t size
        cdef const char *text
        if isinstance(data, bytes):
            size = PyBytes_Size(data)
            self.send_chunk(PyBytes_AsString(data), size)
        elif isinstance(data, str):
            text = PyUnicode_AsUTF8AndSize(data, &size)   # lives as long as `data`, in it
            self.send_chunk(text, size)
        else:
            PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
            try:
                size = view.len
                self.send_chunk(<const char *>view.buf, size)
            finally:
                PyBuffer_Release(&view)
        return size

    cdef int send_chunk(self, const char *data, size_t size) except -1:
        cdef char line[24]
        cdef size_t line_len = 0, tail_len = 0
        if size == 0:
            # A chunk of no bytes would be the end of the body; what comes before the body can leave without it.
            if self.stream_state != STREAM_BEGUN or not self.has_preface:
                return 0
        else:
            line_len = put_size_line(line, size)
            tail_len = 2
        if self.slot == NULL:
            return self.send_stream(line, line_len, data, size, b"\r\n", tail_len)
        if guard_is_forked(guard_shared()):
            self.fd = -1                           # closed by the fork hook; the stream is the parent's
            self.stream_state = STREAM_BROKEN
            return self.stream_failed(-EPIPE)
        # Until the piece is out the guard neither interrupts nor writes; after it, what came meanwhile is raised.
        wait_if_lost(guard_stream_write(self.slot))
        try:
            return self.send_stream(line, line_len, data, size, b"\r\n", tail_len)
        finally:
            if self.stream_state == STREAM_BEGUN or self.stream_state == STREAM_SENT:
                wait_if_lost(guard_stream_pause(self.slot, self.stream_state == STREAM_SENT))

    cpdef tuple end_stream(self, bytes trailers=b""):
        if self.slot != NULL:
            wait_if_lost(guard_answer(self.slot))
        cdef bytes tail = trailers + b"\r\n"
        self.send_stream(b"0\r\n", 3, NULL, 0, PyBytes_AsString(tail), PyBytes_Size(tail))
        try:
            self.has_answer_begun = buffer_len(&self.incoming) > 0
            self.await_answer()
            body = self.read_answer(False, False)
        finally:
            self.stream_state = STREAM_NONE
            self.close()    # AWS asks for it after a stream
        return self.http_status, body

    cdef int await_answer(self) except -1:
        cdef ssize_t status = self.read_head()
        return 0 if status == STATUS_DECLINED else check(status, b"posting to", self)

    cdef int send_stream(self, const char *line, size_t line_len, const char *data, size_t size, const char *tail,
                         size_t tail_len) except -1:
        """The head, when it is still here, and a piece of the body in one gathered write, which blocks while the
        receiver is slow.

        A connection that the server closed while the handler ran is replaced before the first bytes go out, and once
        more when none of them got out.  Later nothing can be repeated.
        """
        cdef net_out out
        cdef ssize_t status
        cdef bint can_repeat = self.stream_state == STREAM_BEGUN and self.fd >= 0
        if self.stream_state != STREAM_BEGUN and self.stream_state != STREAM_SENT:
            self.stream_failed(-EPIPE)
        if can_repeat and net_wait_readable(self.fd, -1, 0) > 0:
            self.close()    # nothing was asked, so this is its end
        while True:
            if self.fd < 0:
                self.connect()
                if self.slot != NULL:
                    guard_set_fd(self.slot, self.fd)
            out.n = out.at = 0
            out.sent = 0
            net_out_add(&out, buffer_head(&self.outgoing), buffer_len(&self.outgoing))
            net_out_add(&out, line, line_len)
            net_out_add(&out, data, size)
            net_out_add(&out, tail, tail_len)
            status = self.send_out(&out)
            if can_repeat and out.sent == 0 and (status == -EPIPE or status == -ECONNRESET):
                can_repeat = False
                self.close()
                continue
            break
        if out.sent:
            self.stream_state = STREAM_SENT
        if status < 0:
            self.stream_failed(status)
        buffer_consume(&self.outgoing, buffer_len(&self.outgoing))
        self.stream_state = STREAM_SENT
        self.stream_len += size
        return 0

    def break_stream(self):
        """Cuts a stream off: the server sees a body without its end, never a result that looks complete."""
        self.close()
        if self.stream_state != STREAM_NONE:
            self.stream_state = STREAM_BROKEN

    cdef int stream_failed(self, ssize_t status) except -1:
        """Raises StreamClosed with what is known: the server may have said why before it closed."""
        answer = None
        if self.stream_state == STREAM_SENT and (status == -EPIPE or status == -ECONNRESET):
            try:
                self.has_answer_begun = buffer_len(&self.incoming) > 0
                self.await_answer()
                answer = self.read_answer(False, False)
            except OSError:
                pass
        self.break_stream()
        raise late(b"fastlambda.errors", b"stream_closed")(status, self.http_status, answer, self.runtime_api)

    # -- one exchange -----------------------------------------------------------------------------------------------

    cdef bytes exchange(self, const char *head, size_t head_len, const char *body, size_t body_len, bint wants_fields,
                        Invocation answered=None, bint with_next=False):
        """Sends a request (and the next poll behind it, if asked to), reads its answer, returns the answer's body.

        While the server works on it, what the handler left of the `answered` invocation is freed: with a large event
        that takes as long as a third of its decoding, and here nobody waits for it.

        When the connection dies before the first byte of the answer, the request is repeated once, on a fresh one:
        a GET always (a poll hands out the same event until it is answered), a POST only when nothing of it has
        reached the server, as when the server closed the connection while the handler ran.  A POST that the server
        may have read is not repeated: an invocation is never answered twice.
        """
        cdef ssize_t status
        cdef bint is_get = body == NULL, can_repeat = True, is_sent
        self.refuse_inherited()
        if self.is_next_sent:
            if not wants_fields:
                misused(b"poll", None)
        elif buffer_len(&self.incoming):
            self.close()   # bytes that nobody asked for cannot be the answer to what is asked now
        try:
            while True:
                if self.fd < 0:
                    self.connect()
                if self.is_next_sent:
                    self.is_next_sent = False
                    is_sent = True
                    status = 0
                else:
                    status = self.send(head, head_len, body, body_len, with_next)
                    is_sent = status == 0
                self.has_answer_begun = buffer_len(&self.incoming) > 0
                if answered is not None:
                    answered.let_go()
                    self.refuse_inherited()   # a destructor may fork
                # After a failed send there may still be an answer: a server may refuse a body before it has read it all.
                if is_sent or self.is_dead(status):
                    status = self.read_head()
                if status >= 0 or status == STATUS_DECLINED:
                    break
                if can_repeat and not self.has_answer_begun and self.is_dead(status) and \
                        (is_get or self.is_untouched(status)):
                    can_repeat = False
                    self.close()
                    continue
                check(status, b"waiting for an event from" if is_get else b"posting to", self)
            answer = self.read_answer(wants_fields, is_get)
        except BaseException:
            self.close()   # what is left on this connection belongs to a broken exchange
            raise
        if self.is_close or not is_sent:
            self.close()
        elif with_next:
            self.is_next_sent = True
        return answer

    cdef bint is_dead(self, ssize_t status) noexcept:
        """Whether a status says that the connection has ended."""
        return status == STATUS_PEER_CLOSED or status == -EPIPE or status == -ECONNRESET or \
            status == -ECONNABORTED or status == -ETIMEDOUT

    cdef bint is_untouched(self, ssize_t status) noexcept:
        """Whether it is certain that the server has read nothing of the request on this dead connection.

        An end of stream (not a reset) with every byte still unacknowledged: the server closed before they came.  A
        reset proves nothing, it may overtake the acknowledgement of what was read.
        """
        if self.n_sent == 0:
            return True
        return status == STATUS_PEER_CLOSED and net_unacknowledged(self.fd) >= <ssize_t>self.n_sent

    cdef int connect(self) except -1:
        cdef int fd
        cdef const char *host = self.host
        cdef const char *port = self.port
        while True:
            with nogil:
                fd = net_connect(host, port)
            if fd != -EINTR:
                break
            PyErr_CheckSignals()
        check(fd, b"connecting to", self)
        self.fd = fd
        return 0

    cdef ssize_t send(self, const char *head, size_t head_len, const char *body, size_t body_len,
                      bint with_next) except? -1:
        """0, or the status that ended it.  One gathered write: two small ones cost a round trip under delayed ACK."""
        cdef net_out out
        out.n = out.at = 0
        out.sent = 0
        net_out_add(&out, head, head_len)
        net_out_add(&out, body, body_len)
        if with_next:
            net_out_add(&out, PyBytes_AsString(self.next_request), PyBytes_Size(self.next_request))
        return self.send_out(&out)

    cdef ssize_t send_out(self, net_out *out) except? -1:
        cdef int status, fd = self.fd
        self.refuse_inherited()
        out.give_up_ns = 0
        # Mostly the kernel takes all of it at once: nothing waits then, and the interpreter's lock is not given up.
        status = net_send_now(fd, out)
        self.n_sent = out.sent
        if status != -EINTR and status != -EAGAIN:
            return status
        while True:
            with nogil:
                status = net_send_watching(fd, out)
            self.n_sent = out.sent
            if status != -EINTR and status != -EAGAIN:
                return status
            try:
                PyErr_CheckSignals()   # its handler runs, then the write goes on
                self.refuse_inherited()
            except BaseException:
                # Nobody can complete half a piece of a stream: cut off, so that it shows.
                if out.sent and (self.stream_state == STREAM_BEGUN or self.stream_state == STREAM_SENT):
                    self.break_stream()
                raise

    cdef ssize_t receive(self, char *into, size_t len, bint with_spill) except? -1:
        """Bytes received into `into`, and beyond it into `incoming`; or a status."""
        cdef ssize_t n
        cdef char *spill = NULL
        cdef size_t spill_len = 0
        cdef int fd = self.fd
        if with_spill:
            check(buffer_reserve(&self.incoming, SPILL_ROOM), b"receiving from", self)
            spill = self.incoming.data + self.incoming.end
            spill_len = SPILL_ROOM
        while True:
            with nogil:
                n = net_recv_some(fd, into, len, spill, spill_len)
            if n != -EINTR and n != -EAGAIN:
                break
            # SIGTERM or Ctrl-C is handled here, then we wait again.  EAGAIN: a look at signals that came just before the
            # call slept (NET_LOOK_UP_MS), and no limit on how long we wait: the process is idle now.
            PyErr_CheckSignals()
            self.refuse_inherited()   # a handler may fork
            if n == -EAGAIN:
                self.sleep_until_readable()
        if n > <ssize_t>len:
            buffer_commit(&self.incoming, n - len)
            n = len
        return n

    cdef int sleep_until_readable(self) except -1:
        """Waits for bytes, for hours if need be; a signal's handler runs when the signal comes.

        A signal that comes just before a system call sleeps does not wake it, nor does one that the kernel gives to
        another thread.  So the interpreter's own handler, in C, writes to a pipe that is waited for, too.  Only an
        idle process has it.  Where it cannot be had (no descriptor is left, the function has such a pipe, this is not
        the main thread) the wait ends now and then.
        """
        cdef int ready, fd = self.fd, wake_end = -1, signal_end = -1, timeout_ms = NET_PAUSE_MS
        set_wakeup_fd = late(b"_signal", b"set_wakeup_fd")
        try:
            wake_end, signal_end = late(b"os", b"pipe")()
            late(b"os", b"set_blocking")(signal_end, False)
            others = set_wakeup_fd(signal_end)
            if others == -1:
                timeout_ms = -1
            else:
                set_wakeup_fd(others)
        except (OSError, ValueError):
            pass
        try:
            PyErr_CheckSignals()          # what came before the pipe was there
            self.refuse_inherited()
            with nogil:
                ready = net_wait_readable(fd, wake_end, timeout_ms)
            if ready == 0 or ready == -EINTR:
                PyErr_CheckSignals()
                self.refuse_inherited()
        finally:
            if timeout_ms < 0:
                set_wakeup_fd(-1)
            net_close(wake_end)
            net_close(signal_end)
        return 0

    cdef ssize_t fill(self) except? -1:
        """Receives some bytes at the end of `incoming`."""
        cdef ssize_t n
        check(buffer_reserve(&self.incoming, READ_ROOM), b"receiving from", self)
        n = self.receive(self.incoming.data + self.incoming.end, buffer_room(&self.incoming), False)
        if n > 0:
            buffer_commit(&self.incoming, n)
            self.has_answer_begun = True
        return n

    # -- reading an answer ------------------------------------------------------------------------------------------

    cdef ssize_t read_head(self) except? -1:
        """Length of the complete head at the start of `incoming`, or a status (STATUS_DECLINED: for h11)."""
        cdef ssize_t n
        cdef size_t seen = 0
        self.head_len = 0
        while True:
            if buffer_len(&self.incoming):
                if self.use_h11:
                    return STATUS_DECLINED
                n = http1_scan_head(buffer_head(&self.incoming), buffer_len(&self.incoming), seen, &self.head)
                if n != STATUS_INCOMPLETE:
                    if n > 0:
                        self.head_len = n
                    return n
                seen = buffer_len(&self.incoming)
            n = self.fill()
            if n == STATUS_PEER_CLOSED and self.has_answer_begun:
                return STATUS_DECLINED      # a cut head: h11 says what is wrong with it
            if n < 0:
                return n

    cdef bytes read_answer(self, bint wants_fields, bint is_get):
        """The body of the answer whose head read_head() found; sets http_status, is_close and the fields."""
        cdef bytes head
        if self.head_len == 0:
            return self.read_with_h11(self.take_incoming(), wants_fields, is_get)
        self.http_status = self.head.http_status
        self.is_close = self.head.is_close
        if wants_fields:
            self.keep_fields()
        if not self.head.is_chunked:
            buffer_consume(&self.incoming, self.head_len)
            self.head_len = 0
            return self.read_sized(self.head.content_len)
        head = PyBytes_FromStringAndSize(buffer_head(&self.incoming), self.head_len)
        buffer_consume(&self.incoming, self.head_len)
        self.head_len = 0
        return self.read_chunked(head, wants_fields, is_get)

    cdef bytes take_incoming(self):
        """A copy of all that has been received and not read."""
        taken = PyBytes_FromStringAndSize(buffer_head(&self.incoming), buffer_len(&self.incoming))
        buffer_consume(&self.incoming, buffer_len(&self.incoming))
        return taken

    cdef int move_incoming(self, char *into, size_t n) noexcept:
        memcpy(into, buffer_head(&self.incoming), n)
        buffer_consume(&self.incoming, n)
        return 0

    cdef bytes read_sized(self, uint64_t size):
        cdef bytes body
        cdef char *data
        cdef size_t at
        cdef ssize_t n
        if size > MAX_BODY:
            not_understood(b"size", self, size)
        body = PyBytes_FromStringAndSize(NULL, size)   # ours alone until it is full
        data = PyBytes_AsString(body)
        at = min(<size_t>size, buffer_len(&self.incoming))
        if at:
            self.move_incoming(data, at)
        buffer_trim(&self.incoming, SCRATCH_KEPT)
        while at < size:
            n = self.receive(data + at, size - at, False)
            if n < 0:
                cut_short(n, self, at, size)
            at += n
        return body

    cdef bytes read_chunked(self, bytes head, bint wants_fields, bint is_get):
        """A chunked body, received straight into the object that is returned.

        Whatever this scanner declines goes to h11 with all that came before: the head, the payload as one chunk, and
        the bytes from the declined one on.
        """
        cdef http1_chunks chunks
        cdef http1_span payload
        cdef bytes grown, body = b""
        cdef char *data = NULL         # of `body`, which is ours alone until it is returned
        cdef size_t at = 0, cap = 0    # filled and allocated bytes of `body`
        cdef ssize_t n
        chunks.state = HTTP1_CHUNK_LINE
        chunks.left = chunks.total = 0
        while chunks.state != HTTP1_CHUNK_DONE:
            n = 0
            payload.len = 0
            if buffer_len(&self.incoming):
                n = http1_scan_chunks(&chunks, buffer_head(&self.incoming), buffer_len(&self.incoming), &payload)
                if n == STATUS_DECLINED:
                    received = head
                    if at:
                        received += b"%x\r\n" % at + body[:at]
                        if chunks.state != HTTP1_CHUNK_END:
                            received += b"\r\n"
                    if chunks.state == HTTP1_CHUNK_LAST:
                        received += b"0\r\n"
                    return self.read_with_h11(received + self.take_incoming(), wants_fields, is_get)
            if chunks.total > cap:
                if chunks.total > MAX_BODY:
                    not_understood(b"size", self, chunks.total)
                # AWS's server sends a body as one chunk, so the first size is taken as it is; then growth is geometric.
                cap = max(<size_t>chunks.total, 2 * cap)
                grown = PyBytes_FromStringAndSize(NULL, cap)
                if at:
                    memcpy(PyBytes_AsString(grown), data, at)
                body = grown
                data = PyBytes_AsString(body)
            if payload.len:
                memcpy(data + at, payload.ptr, payload.len)
                at += payload.len
            if n > 0:
                buffer_consume(&self.incoming, n)
            elif chunks.state == HTTP1_CHUNK_DATA:
                n = self.receive(data + at, chunks.left, True)
                if n < 0:
                    cut_short(n, self, at, 0)
                http1_skip_payload(&chunks, n)
                at += n
            else:
                n = self.fill()
                if n < 0:
                    cut_short(n, self, at, 0)
        buffer_trim(&self.incoming, SCRATCH_KEPT)
        return body if at == cap else body[:at]

    cdef bytes read_with_h11(self, bytes received, bint wants_fields, bint is_get):
        """The answer as h11, the authority, reads it: for all that the scanner declines, and on request."""
        answer = late(b"fastlambda._h11", b"read_response")(self.receive_bytes, received, is_get, MAX_BODY, self.runtime_api)
        self.http_status = answer.http_status
        self.is_close = answer.is_close
        if wants_fields:
            self.keep_h11_fields(answer.headers)
        rest = <bytes>answer.rest
        check(buffer_append(&self.incoming, PyBytes_AsString(rest), PyBytes_Size(rest)), b"receiving from", self)
        return answer.body

    def receive_bytes(self):
        """Some bytes from the connection, b"" at its end: what h11 reads from."""
        cdef ssize_t n = self.fill()
        if n == STATUS_PEER_CLOSED:
            return b""
        check(n, b"reading an answer from", self)
        return self.take_incoming()

    # -- the fields of an event -------------------------------------------------------------------------------------

    cdef int keep_fields(self) except -1:
        """Copies the head and notes where its fields lie: the receive buffer is about to be used again."""
        cdef http1_span spans[9]
        cdef const char *start = buffer_head(&self.incoming)
        cdef int i
        rapi_read_fields(&self.head, spans)
        self.answer_head = PyBytes_FromStringAndSize(start, self.head_len)
        for i in range(9):
            self.answer_fields[i].start = <uint32_t>(spans[i].ptr - start) if spans[i].len else 0
            self.answer_fields[i].len = <uint32_t>spans[i].len
        return 0

    cdef int keep_h11_fields(self, list headers) except -1:
        """The same from h11's list of (name, value)."""
        cdef bytes name, value
        cdef list kept = []
        cdef http1_span span
        cdef Py_ssize_t at = 0
        cdef int which
        cdef bint is_seen[9]
        memset(is_seen, 0, sizeof(is_seen))
        memset(self.answer_fields, 0, sizeof(self.answer_fields))
        for name, value in headers:
            span.ptr = PyBytes_AsString(name)
            span.len = PyBytes_Size(name)
            which = rapi_which_field(span)
            if which < 0 or is_seen[which]:   # the first of a repeated field counts
                continue
            is_seen[which] = True
            self.answer_fields[which].start = <uint32_t>at
            self.answer_fields[which].len = <uint32_t>PyBytes_Size(value)
            kept.append(value)
            at += PyBytes_Size(value)
        self.answer_head = b"".join(kept)
        return 0


cdef class Stream:
    """A result that is sent piece by piece; streams.py makes and sends it."""


# ---- what the handler sees ----------------------------------------------------------------------------------------

cdef class Context:
    """What a handler learns about its invocation and its function; attributes are made when first asked for."""

    def __init__(self, Invocation invocation, Config config, /):
        self.begin(invocation, config)

    cdef int begin(self, Invocation invocation, Config config) except -1:
        self._invocation = invocation
        self._config = config
        if invocation.fields[<int>RAPI_CLIENT_CONTEXT].len or invocation.fields[<int>RAPI_COGNITO_IDENTITY].len:
            # Read at once: what is broken in them fails the invocation, as under AWS's client.
            self.client_context
            self.identity
        return 0

    def __getattr__(self, str name):
        """Runs only for what is not in the instance: the value is made and stays, so it can be set freely too."""
        cdef Invocation inv = self._invocation
        cdef Config config = self._config
        if name == "aws_request_id" or name == "request_id":
            value = inv.text(RAPI_REQUEST_ID)
        elif name == "invoked_function_arn":
            value = inv.text(RAPI_FUNCTION_ARN)
        elif name == "xray_trace_id":
            value = inv.text(RAPI_TRACE_ID)
        elif name == "tenant_id":
            value = inv.text(RAPI_TENANT_ID)
        elif name == "deadline" or name == "_epoch_deadline_time_in_ms":
            value = inv.deadline_ms
        elif name == "env_config":
            value = config
        elif name in ("function_name", "function_version", "memory_limit_in_mb", "log_group_name", "log_stream_name"):
            value = getattr(config, name)
        elif name == "client_context":
            value = late(b"fastlambda.context", b"client_context")(inv.text(RAPI_CLIENT_CONTEXT))
        elif name == "identity":
            value = late(b"fastlambda.context", b"cognito_identity")(inv.text(RAPI_COGNITO_IDENTITY))
        else:
            raise AttributeError("'Context' object has no attribute %r" % name)
        setattr(self, name, value)
        return value

    def get_remaining_time_in_millis(self):
        """Milliseconds until Lambda ends this invocation, never below 0."""
        left = self.deadline - now_ms()
        return left if left > 0 else 0

    def w3c(self):
        """The W3C trace context that came with the event: a new dict."""
        return late(b"fastlambda.context", b"w3c")(self._invocation.text(RAPI_CLIENT_CONTEXT))

    def response_stream(self, *args, **options):
        return late(b"fastlambda.streams", b"open_stream")(self._invocation, *args, **options)

    @cython.always_allow_keywords(True)
    def log(self, message):
        """Writes `message` to the function's log as it is, without a new line."""
        late(b"fastlambda.context", b"log")(message)

    def __copy__(self):
        cdef Context twin = Context.__new__(Context)
        twin._invocation = self._invocation
        twin._config = self._config
        vars(twin).update(vars(self))
        return twin

    def __deepcopy__(self, memo):
        return self.__copy__()    # what it holds is not changed by anybody

    def __dir__(self):
        return late(b"fastlambda.context", b"names_of")(self)

    def __repr__(self):
        return late(b"fastlambda.context", b"describe")(self)


# ---- JSON ---------------------------------------------------------------------------------------------------------

cdef enum:
    # Bytes read and written without orjson that cost about what importing it costs: 30 ms at 9 ns saved per byte
    # (docs/json.md has the measurement).
    RENT_BUDGET = 3 * 1024 * 1024
    ENCODER_KEPT = 16 * 1024       # bytes of the encoder's buffer that stay for the next result


@cython.final
cdef class Codec:
    """JSON with one meaning, whichever codec runs: the rules of docs/json.md.

    Reads with the interpreter's own accelerator and writes with the encoder below, which cost nothing to import, until
    the bytes of both have cost about as much as importing orjson.  What orjson refuses or would change goes through the
    first two in any case: they are the rules, orjson is the quick way.

    Args:
        choice: "orjson" to import it at once, "stdlib" never to, None for the cheaper one of this process.
        layout: "aws" writes the layout of AWS's client (", ", ": " and ASCII only), None the compact one.
        budget: bytes to work without orjson.
    """

    def __init__(self, str choice=None, str layout=None, Py_ssize_t budget=RENT_BUDGET, /):
        if choice and choice != "orjson" and choice != "stdlib":
            misused(b"json", choice)
        if layout and layout != "compact" and layout != "aws":
            misused(b"layout", layout)
        self.is_aws_layout = layout == "aws"
        self.may_buy = choice != "stdlib"
        self.budget = budget
        # make_scanner() reads its settings from the attributes of an object, any object: sys.implementation's type is a
        # namespace that costs no import.
        self.scan = late(b"_json", b"make_scanner")(type(sys.implementation)(
            strict=True, object_hook=None, object_pairs_hook=None, parse_float=float, parse_int=int,
            parse_constant=refuse_constant))
        if choice == "orjson":
            self.buy()

    def __dealloc__(self):
        buffer_release(&self.scratch)

    @property
    def name(self):
        """Which codec runs: "orjson" or "stdlib"."""
        return "stdlib" if self.loads is None else "orjson"

    cpdef int buy(self) except -1:
        """Imports orjson, if the choice allows it and it has not been."""
        if self.loads is not None or not self.may_buy:
            return 0
        functions = late(b"fastlambda.codec", b"orjson_functions")()
        if functions is None:
            self.may_buy = False
            return 0
        self.loads, self.dumps, self.fallback, self.options = functions
        return 0

    cdef int pay_rent(self, Py_ssize_t size) noexcept:
        """A tiny document (192 bytes with the usual budget) is as quick without orjson, so it pays nothing: a process
        that only sees such never grows by orjson's 4 MiB."""
        size -= self.budget >> 14
        if size > 0:
            self.rented += size
        return 0

    cpdef int settle(self) except -1:
        """Between two invocations: buys orjson when the rent has reached its price."""
        if self.rented > self.budget and self.loads is None:
            self.buy()
        return 0

    cpdef int look_around(self) except -1:
        """After init: orjson costs next to nothing when its own imports, or orjson itself, are there already."""
        if self.loads is None and self.may_buy:
            modules = sys.modules
            if "orjson" in modules or ("dataclasses" in modules and "json" in modules and "uuid" in modules):
                self.buy()
        return 0

    # -- reading ----------------------------------------------------------------------------------------------------

    cpdef object decode(self, bytes body):
        """The JSON document's value.

        Raises:
            UnmarshalError: it is not JSON.
        """
        cdef Py_ssize_t size = PyBytes_Size(body)
        if self.loads is None:
            self.pay_rent(size)
            if size > self.budget:
                self.buy()    # this one document costs more than the import
        # What is being built has no cycles, and Python code runs only to tell of a broken document: the collector would look
        # for garbage again and again where there can be none.
        collects = PyGC_Disable()
        try:
            if self.loads is not None and not json_has_wide_integer(PyBytes_AsString(body), size):
                try:
                    return self.loads(body)
                except ValueError:
                    pass          # a byte order mark, a lone surrogate, 1e400: or really not JSON
            return self.decode_exactly(body)
        finally:
            if collects:
                PyGC_Enable()

    cdef object decode_exactly(self, bytes body):
        cdef str text = None
        cdef const unsigned char *data = <const unsigned char *>PyBytes_AsString(body)
        cdef Py_ssize_t at = 0, end, size = PyBytes_Size(body)
        try:
            text = PyUnicode_DecodeUTF8(<const char *>data, size, NULL)
            end = PyUnicode_GetLength(text)
            if size >= 3 and memcmp(data, b"\xef\xbb\xbf", 3) == 0:
                at = 1
            elif size >= 6 and memcmp(data, b"\xc3\xaf\xc2\xbb\xc2\xbf", 6) == 0:
                at = 3    # a byte order mark encoded twice, which AWS's client takes too
            if at or data[0] <= c" ":     # few documents begin so; an empty one has its NUL there
                at = skip_space(text, at, end)
            value, at = self.scan(text, at)
            if at != end:
                at = skip_space(text, at, end)
            if at == end:
                return value
            exc = None
        except MemoryError:
            raise             # also what the guard raises
        except Exception as raised:
            exc = raised
        return late(b"fastlambda.codec", b"explain")(text, at, exc, self.scan)

    # -- writing ----------------------------------------------------------------------------------------------------

    cpdef bytes encode(self, value):
        """The value as JSON.

        Raises:
            MarshalError: it cannot be written as JSON.
        """
        cdef bytes text
        if self.dumps is not None and not self.is_aws_layout:
            try:
                return self.dumps(value, self.fallback, self.options)
            except TypeError as exc:
                late(b"fastlambda.codec", b"raise_interruption")(exc)
        try:
            text = self.encode_exactly(value)
        except MemoryError:
            raise             # also what the guard raises
        except Exception as exc:
            raise late(b"fastlambda.codec", b"cannot_marshal")(value, exc) from None
        if self.loads is None:
            self.pay_rent(PyBytes_Size(text))
        return text

    cdef bytes encode_exactly(self, value):
        # On the stack: a fallback of the user's may encode something else meanwhile, which then has a buffer of its own.
        cdef buffer to = self.scratch
        self.scratch.data = NULL
        self.scratch.cap = 0
        try:
            self.put(&to, value)
            return PyBytes_FromStringAndSize(to.data, to.end)
        finally:
            if self.scratch.data == NULL and to.cap <= ENCODER_KEPT:
                to.start = to.end = 0
                self.scratch = to
            else:
                buffer_release(&to)

    cdef int put(self, buffer *to, value) except -1:
        cdef double number
        cdef char *digits
        cdef int status
        if isinstance(value, str):
            return self.put_text(to, value)
        if value is None:
            return put(to, "null", 4)
        if value is True:
            return put(to, "true", 4)
        if value is False:
            return put(to, "false", 5)
        if isinstance(value, int):
            return self.put_integer(to, value)
        if isinstance(value, float):
            number = PyFloat_AsDouble(value)
            if number - number != 0:      # NaN and the infinities have no JSON form
                return put(to, "null", 4)
            digits = PyOS_double_to_string(number, b"r", 0, Py_DTSF_ADD_DOT_0, NULL)
            status = buffer_append(to, digits, strlen(digits))
            PyMem_Free(digits)
            if status:
                raise MemoryError
            return 0
        if Py_EnterRecursiveCall(b" while encoding a JSON object"):
            return -1
        try:
            if type(value) is dict:
                return self.put_dict(to, value)
            if type(value) is list or type(value) is tuple:
                return self.put_array(to, value)
            return self.put_other(to, value)
        finally:
            Py_LeaveRecursiveCall()

    cdef int put_other(self, buffer *to, value) except -1:
        """Whatever is not exactly a JSON type: see codec.replace()."""
        is_text, value = late(b"fastlambda.codec", b"replace")(value)
        if is_text:
            return put(to, PyBytes_AsString(value), PyBytes_Size(value))
        if isinstance(value, (list, tuple)):
            return self.put_array(to, value)
        return self.put(to, value)

    cdef int put_array(self, buffer *to, value) except -1:
        cdef bint is_first = True
        put(to, "[", 1)
        for item in value:
            if not is_first:
                put(to, ", ", 1 + self.is_aws_layout)
            is_first = False
            self.put(to, item)
        return put(to, "]", 1)

    cdef int put_dict(self, buffer *to, value) except -1:
        """Exactly a dict: its members are read in place."""
        cdef Py_ssize_t at = 0, size = PyDict_Size(value)
        cdef PyObject *borrowed_key
        cdef PyObject *borrowed_item
        put(to, "{", 1)
        while PyDict_Next(value, &at, &borrowed_key, &borrowed_item):
            key = <object>borrowed_key       # owned from here: what follows may run code that changes the dict
            item = <object>borrowed_item
            self.put_key(to, key)
            self.put(to, item)
            put(to, ", ", 1 + self.is_aws_layout)
            if PyDict_Size(value) != size:
                raise RuntimeError("dictionary changed size during iteration")
        if size:
            to.end -= 1 + self.is_aws_layout
        return put(to, "}", 1)

    cdef int put_key(self, buffer *to, key) except -1:
        if isinstance(key, str):
            self.put_text(to, key)
        else:
            self.put_text(to, late(b"fastlambda.codec", b"key_text")(key))
        return put(to, ": ", 1 + self.is_aws_layout)

    cdef int put_text(self, buffer *to, text) except -1:
        cdef Py_ssize_t size
        cdef const char *data = PyUnicode_AsUTF8AndSize_or_null(text, &size)
        if data == NULL:      # a lone surrogate: its escape is valid JSON, its bytes would not be
            PyErr_Clear()
            quoted = late(b"_json", b"encode_basestring_ascii")(text).encode("ascii")
            return put(to, PyBytes_AsString(quoted), PyBytes_Size(quoted))
        if json_put_string(to, data, size, self.is_aws_layout):
            raise MemoryError
        return 0

    cdef int put_integer(self, buffer *to, value) except -1:
        cdef int overflow
        cdef long long number = PyLong_AsLongLongAndOverflow(value, &overflow)
        if overflow:
            digits = int.__repr__(value).encode("ascii")
            return put(to, PyBytes_AsString(digits), PyBytes_Size(digits))
        if json_put_integer(to, number):
            raise MemoryError
        return 0


def refuse_constant(name):
    raise ValueError(name)


cdef Py_ssize_t skip_space(str text, Py_ssize_t at, Py_ssize_t end) except -1:
    while at < end and text[at] in " \t\n\r":
        at += 1
    return at


cdef int put(buffer *to, const char *text, size_t size) except -1:
    if buffer_append(to, text, size):
        raise MemoryError
    return 0


# ---- signals of the guard -----------------------------------------------------------------------------------------

cdef extern from *:
    """
    #ifdef __GLIBC__
    #include <malloc.h>
    #define FASTLAMBDA_TRIM_HEAP() malloc_trim(0)
    #else
    #define FASTLAMBDA_TRIM_HEAP() 0
    #endif
    """
    int FASTLAMBDA_TRIM_HEAP() noexcept nogil


# Of the process, as signals are.
cdef int DUMP_SIGNAL = 0
cdef int INTERRUPT_SIGNAL = 0


cdef int claim_dump_signal() except -1:
    """A free signal whose C handler dumps the stacks of all threads to stderr, without the GIL.  0: none."""
    global DUMP_SIGNAL
    if DUMP_SIGNAL == 0:
        number = guard_free_signal(guard_signals_below())
        if number:
            # Built into the interpreter.  The arguments: signal, file, all threads, chain.
            late(b"faulthandler", b"register")(number, 2, True, False)
            DUMP_SIGNAL = number
    return DUMP_SIGNAL


cdef int claim_interrupt_signal() noexcept:
    global INTERRUPT_SIGNAL
    if INTERRUPT_SIGNAL == 0:
        INTERRUPT_SIGNAL = guard_free_signal(DUMP_SIGNAL or guard_signals_below())
    return INTERRUPT_SIGNAL


cdef int watch_init(Config config) except -1:
    """Has the stacks dumped half a second before Lambda's limit for init, so that the log says where it hangs."""
    cdef int64_t limit_ms = config.init_limit_ms
    if config.guard and limit_ms > 500:
        guard_set_alarm(claim_dump_signal(), limit_ms - 500)
    return 0


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
        self.begin()
        try:
            while limit != 0 and not self.is_stopping:
                self.serve_one(is_pipelined and limit != 1 and self.after is None)
                limit -= 1
        except BaseException:
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
        cdef Invocation inv = self.poll()
        cdef Context context = Context.__new__(Context)   # without __init__, whose arguments would be packed for it
        try:
            inv.event = self.decode(inv)
            context.begin(inv, self.config)
            inv.result = self.call(inv.event, context)
            payload = self.encode(inv.result)
        except BaseException as exc:
            self.post_failure(inv, exc)
        else:
            self.post_answer(inv, payload, with_next and inv.after is None)
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

    cdef int post_answer(self, Invocation inv, payload, bint with_next) except -1:
        """Posts a result, and the next poll in the same write if asked to; a refusal is logged and never repeated."""
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

    def settle(self, Invocation inv, int http_status, bytes body, /):
        """Takes note of how the Runtime API answered a streamed result."""
        self.note_answer(inv, http_status, body)

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
        self.claim(exc)
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
        self.channel.post_error(
            inv, self.codec.encode_exactly({"errorMessage": str(exc)[:1000], "errorType": kind.decode(), "stackTrace": []}),
            b"Content-Type: application/json\r\nLambda-Runtime-Function-Error-Type: %b\r\n" % kind)
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
        call.is_interruptible = self.is_interruptible
        self.task = self.interruption = None
        guard_arm(g, self.slot, &call)   # an id that is too long for the slot runs unguarded
        return 0

    cpdef int claim(self, exc=None) except -1:
        """Makes the answer ours.  When the guard has it, this waits for the end of the process, without the GIL.

        Args:
            exc: what the handler raised: a forked child that leaves by SystemExit may do so.
        """
        cdef int reason
        if self.slot == NULL:
            return 0
        if guard_is_forked(guard_shared()):
            self.channel.fd = -1     # closed by the fork hook
            if isinstance(exc, SystemExit):
                raise exc
            late(b"fastlambda.errors", b"leave_child")(exc)
        reason = guard_answer(self.slot)
        wait_if_lost(reason)
        if reason == GUARD_MEMORY:
            self.must_check_memory = True
        return 0

    def interrupt(self, *number_and_frame):
        """The Python-level handler of the guard's signal: raises where the handler is, or cancels its task.

        A signal that comes too late finds nothing to raise for: the slot's generation says so.
        """
        cdef int reason = guard_take_interrupt(self.slot) if self.slot != NULL else GUARD_NO_REASON
        if reason == GUARD_NO_REASON:
            if callable(self.previous):
                self.previous(*number_and_frame)
            return
        exc = self.interruption = late(b"fastlambda.failures", b"interruption")(
            reason == GUARD_MEMORY, guard_resident_bytes() >> 20, guard_shared().config.memory_limit >> 20,
            self.slot.timeout_ms, guard_remaining_ms(self.slot))
        if self.task is not None:
            if not late(b"fastlambda.runner", b"interrupt_task")(self.task, self, self.slot.generation):
                return
        raise exc

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
    cdef bytes payload


# ---- the process's logs -------------------------------------------------------------------------------------------

@cython.final
cdef class Unbuffered:
    """A standard stream whose writes are seen at once; everything else is the stream's own."""
    cdef object stream

    def __getattr__(self, name):
        return getattr(self.stream, name)

    def __enter__(self):
        return self

    def __exit__(self, *exc_info):
        pass

    def write(self, text):
        self.stream.write(text)
        self.stream.flush()

    def writelines(self, lines):
        self.stream.writelines(lines)
        self.stream.flush()


@cython.final
cdef class LogSetup:
    """Where and how this process logs; on sys.meta_path, it waits for somebody to import logging, and configures it."""

    cdef int begin(self, Runtime runtime) except -1:
        config = runtime.config
        self.runtime = runtime
        self.fd = -1
        if config.telemetry_fd:
            self.fd = int(config.telemetry_fd)
            _environ.pop("_LAMBDA_TELEMETRY_LOG_FD", None)
            late(b"os", b"set_inheritable")(self.fd, False)
        return 0

    def find_spec(self, *name_path_target, **named):
        """Runs for each import of a module that is not loaded yet: does nothing but compare."""
        if PyUnicode_CompareWithASCIIString(name_path_target[0], b"logging"):
            return None
        sys.meta_path.remove(self)
        return late(b"fastlambda.logs", b"spec_for_logging")(self)

    def ids(self):
        """Request id and tenant id of the invocation under way, for log records."""
        cdef Invocation inv = self.runtime.invocation
        if inv is None:
            return "", None
        return inv.text(RAPI_REQUEST_ID) or "", inv.text(RAPI_TENANT_ID)


# The process has one standard output and one loop that owns it.
cdef LogSetup LOGS = None


def log_setup():
    """This process's LogSetup; None before take_over()."""
    return LOGS


def running():
    """The Runtime whose process this is; None before take_over()."""
    return None if LOGS is None else LOGS.runtime


def take_over(Runtime runtime):
    """Makes a process the Runtime's own: its streams and its logging.  Called before the function's code is loaded."""
    global LOGS
    cdef Unbuffered unbuffered
    LOGS = LogSetup.__new__(LogSetup)
    LOGS.begin(runtime)
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is not None and type(stream) is not Unbuffered:
            unbuffered = Unbuffered.__new__(Unbuffered)
            unbuffered.stream = stream
            setattr(sys, name, unbuffered)
    logging = sys.modules.get("logging")
    if logging is None:
        sys.meta_path.insert(0, LOGS)
    else:
        late(b"fastlambda.logs", b"configure")(logging, LOGS)


# ---- the process --------------------------------------------------------------------------------------------------

cdef object load_handler(str target):
    """module.function, as AWS's client finds it; whatever fails is named by handler.py."""
    cdef str module_name
    cdef Py_ssize_t end = PyUnicode_GetLength(target), dot = PyUnicode_FindChar(target, c".", 0, end, -1)
    try:
        module_name = target[:dot] if dot > 0 else ""
        if not module_name or module_name.partition(".")[0] in sys.builtin_module_names:
            raise LookupError
        module_name = module_name.replace("/", ".")
        __import__(module_name)
        return getattr(sys.modules[module_name], target[dot + 1:])
    except BaseException as exc:
        late(b"fastlambda.handler", b"fault")(target, exc)


@cython.always_allow_keywords(True)
def main(list argv=None):
    """Runs the function named on the command line, or by _HANDLER, until Lambda ends the process.

    Args:
        argv: the arguments after the program's name; None: those of this process.
    """
    try:
        start(sys.argv[1:] if argv is None else argv)
    except Exception as exc:
        leave = late_if_possible(b"fastlambda.errors", b"leave")
        if leave is None:
            raise   # the traceback tells it
        leave(exc)


cdef int start(list argv) except -1:
    cdef Config config = Config.from_env()
    cdef str target = argv[0] if argv else config.handler
    if not target or len(argv) > 1 or target.startswith("-"):
        late(b"fastlambda.handler", b"usage")(argv)
    put_task_root(config)
    watch_init(config)
    if ":" in target:
        late(b"fastlambda.runner", b"runtime_for_target")(target, config).serve()
    else:
        runtime_for_handler(target, config).serve()
    return 0


cdef Runtime runtime_for_handler(str target, Config config):
    cdef Runtime runtime = Runtime(config, None)
    take_over(runtime)
    try:
        runtime.call = load_handler(target)
        begin = getattr(runtime.call, "fastlambda_start", None)
        if begin is not None:
            begin(runtime)    # a web application's start-up belongs to init
    except BaseException as exc:
        late(b"fastlambda.errors", b"fail_init")(runtime.channel, exc)
    return runtime


cdef int put_task_root(Config config) except -1:
    """The function's own folder comes first on sys.path, as AWS's start script has it."""
    cdef str root = config.task_root or late(b"os", b"getcwd")()
    path = sys.path
    if not path or type(path[0]) is not str or <str>path[0] != root:
        path.insert(0, root)
    return 0


def main_managed(str task, list sites, str runtime_dir, /):
    """main() for the exec wrapper of a managed runtime, whose program has set sys.path.

    Does what AWS's start module does besides: .pth files of the function and its layers, PYTHONPATH for children.  Here
    and not in Python, because it is part of every cold start behind the wrapper.
    Source: Runtime API contract, "Deployment".

    Args:
        task: the function's folder.
        sites: the layers' package folders.
        runtime_dir: where AWS's start script is.
    """
    cdef str own
    if "PYTHONPATH" not in _environ:   # the interpreter runs with -S
        _environ["PYTHONPATH"] = runtime_dir
        own = sys.path[3]
        if holds_site_files(own):
            late(b"site", b"main")()
        else:   # what the site module gives to functions
            builtins = sys.modules["builtins"]
            for name in ("exit", "quit"):
                setattr(builtins, name, late(b"_sitebuiltins", b"Quitter")(name, "Ctrl-D (i.e. EOF)"))
            builtins.help = late(b"_sitebuiltins", b"_Helper")()
        for folder in [task, *sites]:
            add_site(folder)
    else:
        add_site(task)
    main([])


cdef int add_site(str folder) except -1:
    """site.addsitedir(), where there is a .pth file."""
    if holds_site_files(folder):
        late(b"site", b"addsitedir")(folder)
    return 0


cdef bint holds_site_files(str folder) except -1:
    """Whether the site module would find something to do in a folder: .pth files, sitecustomize, usercustomize."""
    try:
        names = late(b"os", b"listdir")(folder)
    except OSError:
        return False
    listing = "\n%s\n" % "\n".join(names)
    return ".pth\n" in listing or "\nsitecustomize" in listing or "\nusercustomize" in listing
