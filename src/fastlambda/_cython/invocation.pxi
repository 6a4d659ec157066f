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

    def field(self, int which, /):
        """One of the fields that came with the event, by its number in rapi.h; None: it did not."""
        return self.text(which) if 0 <= which < RAPI_N_FIELDS else None

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
