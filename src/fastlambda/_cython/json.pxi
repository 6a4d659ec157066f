# ---- JSON ---------------------------------------------------------------------------------------------------------

cdef enum:
    LARGE_EVENT = 256 * 1024       # from here on, an event's memory is kept for the next one
    MOST_KEPT = 32 * 1024 * 1024   # bytes, and at most an eighth of the function's memory


cdef int keep_arenas(Config config) except -1:
    """Has the interpreter keep what a large event took: without it each one costs a page fault for every 4 KiB."""
    cdef size_t bound = MOST_KEPT
    if config.memory_limit_in_mb and config.memory_limit_in_mb.isdigit():
        bound = min(bound, <size_t>min(int(config.memory_limit_in_mb), 1 << 20) << 17)
    arenas_keep(bound)
    return 0


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
        self.scan = scanner()
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
            if size > RENT_BUDGET:
                late(b"json.decoder", b"JSONDecodeError")   # else the scanner fails in vain first, see explain()
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
                at = skip_space(text, at)
            value, at = self.scan(text, at)
            if at != end:
                at = skip_space(text, at)
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
        if type(value) is str:
            return self.put_text(to, value)
        if value is None:
            return put(to, "null", 4)
        if value is True:
            return put(to, "true", 4)
        if value is False:
            return put(to, "false", 5)
        # None of these is an enum, and asking runs Python code, which has a limit of recursion of its own.
        if type(value) is not int and type(value) is not dict and type(value) is not list \
                and type(value) is not tuple and is_enum(value):
            return self.put(to, value.value)   # as orjson has it, also where it is text or a number besides
        if isinstance(value, str):
            return self.put_text(to, value)
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
        is_text, value = (self.replace or late(b"fastlambda.codec", b"replace"))(value)
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


cdef bint is_enum(value) except -1:
    enum = sys.modules.get("enum")     # without the module there is none
    return enum is not None and isinstance(value, enum.Enum)


def refuse_constant(name):
    raise ValueError(name)


cdef object scanner():
    """The interpreter's own scanner.

    make_scanner() reads its settings from the attributes of an object, any object: sys.implementation's type is a
    namespace that costs no import.  A Python that reads one more gets them from its own JSONDecoder, which has it.
    """
    make_scanner = late(b"_json", b"make_scanner")
    try:
        return make_scanner(type(sys.implementation)(
            strict=True, object_hook=None, object_pairs_hook=None, array_hook=None, parse_float=float, parse_int=int,
            parse_constant=refuse_constant))
    except AttributeError:
        pass
    return make_scanner(late(b"json", b"JSONDecoder")(parse_constant=refuse_constant))


cdef Py_ssize_t skip_space(str text, Py_ssize_t at) except -1:
    cdef Py_ssize_t size
    cdef str rest = text[at:]
    cdef const char *data = PyUnicode_AsUTF8AndSize(rest, &size)
    return at + json_space_len(data, size)


def ends_in_object(str text, /):
    """Whether the innermost bracket that is open at the end of a valid document's beginning is a brace."""
    cdef Py_ssize_t size
    cdef const char *data = PyUnicode_AsUTF8AndSize(text, &size)
    return json_ends_in_object(data, size) != 0


def find_outside(str text, bytes word, /):
    """Where a word first stands outside of strings; -1: nowhere."""
    cdef Py_ssize_t size
    cdef const char *data = PyUnicode_AsUTF8AndSize(text, &size)
    return json_find_outside(data, size, PyBytes_AsString(word), PyBytes_Size(word))


def count_hard_floats(bytes text, /):
    """How many numbers a reader of floats may have to take the slow way."""
    return json_count_hard_floats(PyBytes_AsString(text), PyBytes_Size(text))


cdef int put(buffer *to, const char *text, size_t size) except -1:
    if buffer_append(to, text, size):
        raise MemoryError
    return 0
