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
