"""The core's fields, grouped by lifetime, and the native rooms it calls.

Every pointer names its owner and the end of its life.  Native functions are noexcept nogil: they return a status
(status.h) or a value, and only check() in _core.pyx turns a status into an exception.
"""

cimport cython
from libc.stdint cimport int64_t, uint32_t, uint64_t


cdef extern from "status.h" nogil:
    int STATUS_INCOMPLETE, STATUS_DECLINED, STATUS_TOO_LARGE, STATUS_PEER_CLOSED, STATUS_TIMED_OUT, STATUS_NO_ADDRESS, \
        STATUS_NOT_OURS


cdef extern from "buffer.h" nogil:
    struct buffer:
        char *data
        size_t start
        size_t end
        size_t cap
    char *buffer_head(buffer *b) noexcept
    size_t buffer_len(const buffer *b) noexcept
    size_t buffer_room(const buffer *b) noexcept
    int buffer_reserve(buffer *b, size_t more) noexcept
    void buffer_commit(buffer *b, size_t n) noexcept
    void buffer_consume(buffer *b, size_t n) noexcept
    int buffer_append(buffer *b, const char *bytes, size_t len) noexcept
    void buffer_trim(buffer *b, size_t keep) noexcept
    void buffer_release(buffer *b) noexcept


cdef extern from "http1.h" nogil:
    struct http1_span:
        const char *ptr
        size_t len
    struct http1_header:
        http1_span name
        http1_span value
    struct http1_head:
        int http_status
        int is_chunked
        int is_close
        uint64_t content_len
        size_t n_headers
        http1_header *headers
    enum:
        HTTP1_MAX_HEADERS
    enum http1_chunk_state:
        HTTP1_CHUNK_LINE, HTTP1_CHUNK_DATA, HTTP1_CHUNK_END, HTTP1_CHUNK_LAST, HTTP1_CHUNK_DONE
    struct http1_chunks:
        http1_chunk_state state
        uint64_t left
        uint64_t total
    ssize_t http1_scan_head(const char *buf, size_t len, size_t seen, http1_head *out) noexcept
    ssize_t http1_scan_chunks(http1_chunks *c, const char *buf, size_t len, http1_span *payload) noexcept
    void http1_skip_payload(http1_chunks *c, uint64_t n) noexcept


cdef extern from "envvar.h" nogil:
    int envvar_put(const char *name, const char *value, size_t len) noexcept


cdef extern from "net.h" nogil:
    struct net_out:
        int n
        int at
        size_t sent
        uint64_t give_up_ns
        uint64_t identity
    int NET_PAUSE_MS
    uint64_t NET_MARKED_OUT
    int net_connect(const char *host, const char *port, uint64_t *identity) noexcept
    bint net_is_ours(int fd, uint64_t identity) noexcept
    void net_out_add(net_out *out, const void *bytes, size_t len) noexcept
    int net_wait_readable(int fd, int wake_fd, int timeout_ms) noexcept
    int net_send_now(int fd, net_out *out) noexcept
    int net_send_watching(int fd, net_out *out) noexcept
    ssize_t net_unacknowledged(int fd) noexcept
    ssize_t net_recv_some(int fd, uint64_t identity, char *into, size_t len, char *spill, size_t spill_len) noexcept
    void net_hang_up(int fd, uint64_t identity) noexcept


cdef extern from "settings.h" nogil:
    int SETTING_TEXT, SETTING_NUMBER, SETTING_SWITCH, N_SETTINGS
    struct setting:
        const char *name
        const char *variable
        int kind
        int value
    const setting *SETTINGS


cdef extern from "file.h" nogil:
    uint64_t file_of(int fd) noexcept
    void file_close(int fd, uint64_t file) noexcept


cdef extern from "fork.h" nogil:
    int fork_watch() noexcept
    unsigned fork_count() noexcept


cdef extern from "rapi.h" nogil:
    enum rapi_field:
        RAPI_REQUEST_ID, RAPI_DEADLINE_MS, RAPI_FUNCTION_ARN, RAPI_TRACE_ID, RAPI_CLIENT_CONTEXT,
        RAPI_COGNITO_IDENTITY, RAPI_TENANT_ID, RAPI_INVOCATION_ID, RAPI_CONTENT_TYPE
    # Spelled as a literal too: Cython needs the array length of Invocation.fields at compile time (asserted in tests).
    enum: RAPI_N_FIELDS
    uint64_t RAPI_CHUNKED
    struct rapi_address:
        http1_span host
        http1_span port
        http1_span authority
        http1_span prefix
    int rapi_read_address(const char *text, size_t len, rapi_address *out) noexcept
    struct rapi_base:
        const char *common
        size_t common_len
        const char *prefix
        size_t prefix_len
    int rapi_which_field(http1_span name) noexcept
    void rapi_read_fields(const http1_head *head, http1_span *fields) noexcept
    int64_t rapi_deadline_ms(http1_span text) noexcept
    int rapi_is_header_safe(http1_span text) noexcept
    int rapi_put_post(buffer *to, const rapi_base *base, const char *path, http1_span id, const char *verb,
                      http1_span headers, http1_span invocation_id, uint64_t body_len) noexcept


cdef extern from "arenas.h" nogil:
    bint arenas_keep(size_t bound) noexcept
    void arenas_release() noexcept

cdef extern from "json.h" nogil:
    int json_put_string(buffer *to, const char *text, size_t len, int is_ascii) noexcept
    int json_put_integer(buffer *to, int64_t number) noexcept
    int json_has_wide_integer(const char *text, size_t len) noexcept
    size_t json_space_len(const char *text, size_t len) noexcept
    int json_ends_in_object(const char *text, size_t len) noexcept
    Py_ssize_t json_find_outside(const char *text, size_t len, const char *word, size_t word_len) noexcept
    size_t json_count_hard_floats(const char *text, size_t len) noexcept


cdef extern from "guard.h" nogil:
    ctypedef bint c_bool "bool"
    ctypedef unsigned long pthread_t
    pthread_t pthread_self() noexcept
    enum guard_reason:
        GUARD_NO_REASON, GUARD_TIMEOUT, GUARD_MEMORY
    int GUARD_LOST, GUARD_TOO_LONG, GUARD_EXIT_MEMORY
    struct guard_call:
        const char *request_id
        size_t request_id_len
        const char *invocation_id
        size_t invocation_id_len
        int64_t deadline_ms
        int fd
        uint64_t identity
        c_bool is_interruptible
    struct guard_slot:
        uint64_t generation
        int64_t timeout_ms
    struct guard_config:
        uint64_t margin_ns
        uint64_t last_ns
        uint64_t memory_limit
        uint64_t memory_margin
        c_bool is_margin_chosen
        const char *runtime_host
        const char *runtime_port
        const char *prefix
        const char *common
        size_t common_len
        int interrupt_signal
        int dump_signal
        pthread_t handler_thread
        void (*prepare)() noexcept
    struct guard:
        guard_config config
        c_bool is_started
    guard *guard_shared() noexcept
    int guard_watch_forks(guard *g) noexcept
    int guard_keep_stderr() noexcept
    int guard_set_alarm(int number, int64_t ms) noexcept
    void guard_cancel_alarm() noexcept
    int guard_open(guard *g, const guard_config *config) noexcept
    int guard_start(guard *g) noexcept
    void guard_stop(guard *g) noexcept
    guard_slot *guard_take_slot(guard *g) noexcept
    void guard_give_slot(guard_slot *slot) noexcept
    int guard_arm(guard *g, guard_slot *slot, const guard_call *call) noexcept
    int guard_answer(guard_slot *slot) noexcept
    int guard_report(guard_slot *slot) noexcept
    int guard_stream_write(guard_slot *slot) noexcept
    int guard_stream_pause(guard_slot *slot, c_bool has_begun) noexcept
    void guard_begin_after(guard *g, guard_slot *slot) noexcept
    void guard_set_fd(guard_slot *slot, int fd, uint64_t identity) noexcept
    int guard_take_interrupt(guard_slot *slot) noexcept
    c_bool guard_is_last_call(const guard_slot *slot) noexcept
    c_bool guard_is_unused(guard *g) noexcept
    c_bool guard_is_forked(const guard *g) noexcept
    c_bool guard_is_pending(const guard_slot *slot, uint64_t generation) noexcept
    void guard_wait_for_end() noexcept
    int64_t guard_remaining_ms(const guard_slot *slot) noexcept
    uint64_t guard_resident_bytes() noexcept
    c_bool guard_memory_is_low(guard *g) noexcept
    int guard_free_signal(int below) noexcept
    int guard_signals_below() noexcept


# Where a field of an Invocation lies in its `head`.
cdef struct field:
    uint32_t start
    uint32_t len


cdef class Config:
    """What the environment says, read once."""
    cdef dict __dict__            # a value for each of SETTINGS


@cython.final
cdef class Invocation:
    """One delivered event with its metadata; owns all its bytes."""
    # This invocation only.
    cdef readonly bytes body      # the event as received; None once the answer is out
    cdef bytes head               # the head that carried the fields
    cdef field fields[9]          # into `head`; len 0: missing
    cdef readonly int64_t deadline_ms  # Unix milliseconds; 0: unknown
    cdef readonly Channel channel # that it came over and is answered over; None: no server sent it
    cdef object event             # what the handler was called with, and what it returned: kept until the answer is out
    cdef object result
    cdef public object after      # called once this is answered, before the next poll; None: nothing
    cdef public object stream     # streams.py's ResponseStream, once its result is sent as one

    cdef str text(self, int which)
    cdef bytes raw(self, int which)
    cdef http1_span span(self, int which)
    cdef bint has_json(self) noexcept
    cdef int let_go(self) except -1


@cython.final
cdef class Channel:
    """One connection to the Runtime API, opened when first needed."""
    # Set once.
    cdef readonly str runtime_api
    cdef bytes host
    cdef bytes port
    cdef bytes prefix             # of every path; `base` borrows from both for the Channel's life
    cdef bytes common             # Host and User-Agent lines
    cdef bytes next_request
    cdef rapi_base base
    cdef bint use_h11
    cdef unsigned n_forks         # how often this process had forked when the Channel was made: it is this process's
    # Reused scratch.
    cdef buffer incoming          # received and not yet read
    cdef buffer outgoing          # the head of the request under way
    cdef http1_head head          # spans borrow from `incoming` until the next receive
    cdef ssize_t head_len         # of the head in `incoming` that was scanned and not yet consumed; 0: none
    # The connection.
    cdef int fd                   # owned; -1 when closed
    cdef uint64_t identity        # of the connection, as user code may have closed `fd` and got its number (net.h)
    cdef guard_slot *slot         # of the invocation under way, borrowed from the Runtime until its end; NULL: none
    cdef bint has_answer_begun    # bytes of the current answer have arrived
    cdef size_t n_sent            # bytes of the current request that the kernel has taken
    cdef bint is_next_sent        # a GET next is on its way, its answer not yet read
    cdef int n_lost               # connections that the request under way has lost to user code
    cdef bint has_told_loss       # once in a process is enough
    # The streamed result under way.
    cdef readonly int stream_state  # STREAM_*
    cdef readonly uint64_t stream_len  # bytes of the chunks written
    cdef bint has_preface         # chunks wait behind the head in `outgoing`
    # The answer last read.
    cdef readonly int http_status
    cdef bint is_close
    cdef bytes answer_head        # copy of the head, when its fields are wanted
    cdef field answer_fields[9]

    cpdef close(self)
    cpdef start_next(self)
    cpdef Invocation next(self)
    cdef bytes post_result(self, Invocation inv, object payload, bytes headers, bint with_next)
    cdef bytes post(self, const char *path, http1_span request_id, const char *verb, bytes headers,
                    http1_span invocation_id, const char *body, size_t body_len, Invocation answered=*,
                    bint with_next=*)
    cdef bytes exchange(self, const char *head, size_t head_len, const char *body, size_t body_len, bint wants_fields,
                        Invocation answered=*, bint with_next=*)
    cpdef Py_ssize_t write_chunk(self, data) except -1
    cpdef tuple end_stream(self, bytes trailers=*)
    cdef int send_chunk(self, const char *data, size_t size) except -1
    cdef int send_stream(self, const char *line, size_t line_len, const char *data, size_t size, const char *tail,
                         size_t tail_len) except -1
    cdef int await_answer(self) except -1
    cdef int stream_failed(self, ssize_t status) except -1
    cdef int refuse_inherited(self) except -1
    cdef bint is_dead(self, ssize_t status) noexcept
    cdef bint is_untouched(self, ssize_t status) noexcept
    cdef bint is_lost(self, ssize_t status, bint is_repeatable) except -1
    cdef int compare(self) except -1
    cdef int connect(self) except -1
    cdef ssize_t send(self, const char *head, size_t head_len, const char *body, size_t body_len,
                      bint with_next) except? -1
    cdef ssize_t send_out(self, net_out *out) except? -1
    cdef ssize_t receive(self, char *into, size_t len, bint with_spill) except? -1
    cdef int sleep_until_readable(self) except -1
    cdef ssize_t fill(self) except? -1
    cdef ssize_t read_head(self) except? -1
    cdef bytes read_answer(self, bint wants_fields, bint is_get)
    cdef bytes take_incoming(self)
    cdef int move_incoming(self, char *into, size_t n) noexcept
    cdef bytes read_sized(self, uint64_t size)
    cdef bytes read_chunked(self, bytes head, bint wants_fields, bint is_get)
    cdef bytes read_with_h11(self, bytes received, bint wants_fields, bint is_get)
    cdef int keep_fields(self) except -1
    cdef int keep_h11_fields(self, list headers) except -1


cdef class Stream:
    pass


# A base of its own: in a stable-ABI build Cython cannot give one class both a __weakref__ and a __dict__.
cdef class Referable:
    cdef object __weakref__


cdef class Context(Referable):
    cdef readonly Invocation _invocation
    cdef readonly Config _config
    cdef dict __dict__            # what has been asked for, or set by the user; vars() has the rest made

    cdef int begin(self, Invocation invocation, Config config) except -1


@cython.final
cdef class Codec:
    # Set once.
    cdef object scan              # the interpreter's scanner
    cdef bint is_aws_layout
    cdef bint may_buy
    cdef readonly Py_ssize_t budget
    cdef public object replace    # in place of codec.replace(); None: that one
    # orjson's, once it is bought.
    cdef object loads
    cdef object dumps
    cdef object fallback
    cdef object options
    # Counts up until then.
    cdef readonly Py_ssize_t rented
    # Reused by the encoder; without data while it is lent.
    cdef buffer scratch

    cpdef int buy(self) except -1
    cdef int pay_rent(self, Py_ssize_t size) noexcept
    cpdef int settle(self) except -1
    cpdef int look_around(self) except -1
    cpdef object decode(self, bytes body)
    cdef object decode_exactly(self, bytes body)
    cpdef bytes encode(self, value)
    cdef bytes encode_exactly(self, value)
    cdef int put(self, buffer *to, value) except -1
    cdef int put_other(self, buffer *to, value) except -1
    cdef int put_array(self, buffer *to, value) except -1
    cdef int put_dict(self, buffer *to, value) except -1
    cdef int put_key(self, buffer *to, key) except -1
    cdef int put_text(self, buffer *to, text) except -1
    cdef int put_integer(self, buffer *to, value) except -1


@cython.final
cdef class Runtime:
    # Set once.
    cdef readonly Config config
    cdef readonly Channel channel
    cdef readonly object call
    cdef readonly object decoder
    cdef readonly object encoder
    cdef public object face       # face.py's, once something has looked for AWS's client; None: nothing has
    cdef public object wait       # what gives an awaitable's result, on the one event loop; None: there is none yet
    cdef readonly Codec codec
    cdef readonly object home     # the frame that called serve(): what an interruption tells begins below it
    # The guard (docs/guard.md).
    cdef guard_slot *slot         # in the guard's static memory, this Runtime's from its first event to its end
    cdef bint is_guarded          # deadlines and memory are watched; else the slot only tells forked children
    cdef bint is_started          # the thread watches this Runtime's slot
    cdef bint is_interruptible    # the handler runs in the main thread
    cdef object previous          # handler of our signal before this Runtime's
    # This invocation only.
    cdef public object task       # the asyncio task that the handler runs in; None: it runs in none
    cdef public object interruption      # what the guard's signal has raised
    cdef bint must_check_memory   # MemoryExhausted was posted: is there room for another?
    cdef str refused_id           # of the attempt whose result was just refused
    cdef readonly Invocation invocation   # the one under way, or the last one
    # Between invocations.
    cdef object event             # what the handler was called with, and what it returned: kept until the answer is out
    cdef object result
    cdef public object after      # called once a report has been accepted; None: nothing to call
    cdef public bint is_guest     # inside an event loop of the user's, whose business signals are
    cdef public bint is_stopping  # SIGTERM came: no further poll
    cdef readonly bint is_polling

    cpdef int begin(self) except -1
    cdef int serve_one(self, bint with_next) except -1
    cpdef int dispatch(self, Invocation inv, call, bint with_next) except -1
    cpdef int run_after(self, after) except -1
    cpdef Invocation poll(self)
    cpdef object decode(self, Invocation inv)
    cpdef object encode(self, result)
    cpdef int post_answer_anyway(self, Invocation inv, result, payload) except -1
    cdef int post_answer(self, Invocation inv, payload, bint with_next) except -1
    cdef int note_answer(self, Invocation inv, int http_status, bytes body) except -1
    cdef int post_failure(self, Invocation inv, exc) except -1
    cdef int post_bare(self, Invocation inv, exc) except -1
    cpdef int publish_trace(self, Invocation inv) except -1
    cdef int arm(self, Invocation inv) except -1
    cdef int open_guard(self) except -1
    cdef int start_guard(self) except -1
    cdef int leave_memory(self) except -1
    cdef int leave_child(self, exc) except -1
    cdef int note_reason(self, int reason) except -1
    cdef int begin_report(self, exc) except -1
    cpdef int claim(self) except -1


@cython.final
cdef class LogSetup:
    # Set once.
    cdef readonly Runtime runtime
    cdef readonly int fd          # the telemetry descriptor; -1: records go to standard output
    cdef uint64_t file            # what `fd` stands for, see file.h
    cdef bint has_logging         # somebody has imported it

    cdef int begin(self, Runtime runtime) except -1
