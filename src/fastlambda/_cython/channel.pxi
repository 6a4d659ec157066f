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
        net_hang_up(self.fd, self.identity)
        buffer_release(&self.incoming)
        buffer_release(&self.outgoing)

    cpdef close(self):
        """Closes the connection; the next request opens another.  May be called twice."""
        net_hang_up(self.fd, self.identity)
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
        if can_repeat:
            self.compare()
            if net_wait_readable(self.fd, -1, 0) > 0:
                self.close()    # nothing was asked, so this is its end
        self.n_lost = 0
        while True:
            if self.fd < 0:
                self.connect()
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
            if self.is_lost(status, out.sent == 0 and self.stream_state == STREAM_BEGUN):
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
        if not is_get or not self.identity & NET_MARKED_OUT:
            self.compare()
        self.n_lost = 0
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
                if self.is_lost(status, not self.has_answer_begun and (is_get or self.n_sent == 0)):
                    continue
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

    cdef int compare(self) except -1:
        """Forgets a connection whose descriptor user code has closed: a request then opens another.

        Before each result, by the kernel's cookie: one system call.  The marks that every read and write look at (net.h)
        do for what comes in between, and for threads.
        """
        if self.fd >= 0 and not net_is_ours(self.fd, self.identity):
            self.is_lost(STATUS_NOT_OURS, True)
        return 0

    cdef bint is_lost(self, ssize_t status, bint is_repeatable) except -1:
        """Whether user code has closed the descriptor, and the request can go out on a fresh connection."""
        if status != STATUS_NOT_OURS:
            return False
        self.close()
        if not self.has_told_loss:
            self.has_told_loss = True
            complain = late_if_possible(b"fastlambda.errors", b"complain_of_loss")
            if complain is not None:
                complain(self.runtime_api)
        self.n_lost += 1
        return is_repeatable and self.n_lost < MAX_LOST

    cdef int connect(self) except -1:
        cdef int fd
        cdef const char *host = self.host
        cdef const char *port = self.port
        while True:
            with nogil:
                fd = net_connect(host, port, &self.identity)
            if fd != -EINTR:
                break
            PyErr_CheckSignals()
        check(fd, b"connecting to", self)
        self.fd = fd
        if self.slot != NULL:
            guard_set_fd(self.slot, fd, self.identity)
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
        out.identity = self.identity
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
        cdef uint64_t identity = self.identity
        if with_spill:
            check(buffer_reserve(&self.incoming, SPILL_ROOM), b"receiving from", self)
            spill = self.incoming.data + self.incoming.end
            spill_len = SPILL_ROOM
        while True:
            with nogil:
                n = net_recv_some(fd, identity, into, len, spill, spill_len)
            if n != -EINTR and n != -EAGAIN:
                break
            # SIGTERM or Ctrl-C is handled here, then we wait again.  EAGAIN: a look at signals that came just before the
            # call slept (NET_LOOK_UP_MS), and no limit on how long we wait: the process is idle now.
            PyErr_CheckSignals()
            self.refuse_inherited()   # a handler may fork
            if n == -EAGAIN and net_is_ours(fd, identity):
                self.sleep_until_readable()
            if not net_is_ours(fd, identity):   # what another has sent must not be waited for, nor taken
                return STATUS_NOT_OURS
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
        cdef uint64_t pipe = 0
        set_wakeup_fd = late(b"_signal", b"set_wakeup_fd")
        try:
            wake_end, signal_end = late(b"os", b"pipe")()
            pipe = file_of(wake_end)
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
            file_close(wake_end, pipe)      # a thread may have closed them, and have their numbers for something else
            file_close(signal_end, pipe)
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
