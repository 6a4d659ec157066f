cdef class Stream:
    """A result that is sent piece by piece; streams.py makes and sends it."""


# ---- what the handler sees ----------------------------------------------------------------------------------------

cdef class Referable:
    """What can be the target of a weak reference."""


# vars(context), as of an ordinary object: the getter that Cython gives to a class with a __dict__ is the interpreter's, by
# its name, which is ours from here on.  No invocation pays for it.
cdef extern from *:
    """
    static PyTypeObject *fastlambda_filled_type = NULL;
    static PyObject *(*fastlambda_fill)(PyObject *, PyObject *) = NULL;
    static PyObject *fastlambda_get_dict(PyObject *self, void *closure) {
        PyObject *filled, *values = PyObject_GenericGetDict(self, closure);
        if (values == NULL || fastlambda_filled_type == NULL || !PyObject_TypeCheck(self, fastlambda_filled_type))
            return values;
        filled = fastlambda_fill(self, values);
        Py_DECREF(values);
        return filled;
    }
    #define PyObject_GenericGetDict fastlambda_get_dict
    /* At an object's end Cython empties the dict that somebody may have kept. */
    #define PyDict_Clear(values) ((void)(values))
    """
    ctypedef struct PyTypeObject
    PyTypeObject *fastlambda_filled_type
    object (*fastlambda_fill)(object, object)


cdef object fill_context(object context, object values):
    return late(b"fastlambda.context", b"fill")(context, values)


cdef class Context(Referable):
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
        if inv is None or config is None:   # Context.__new__() alone
            raise AttributeError("'Context' object has no attribute %r: it was not made for an invocation" % name)
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
        elif name == "_w3c_fields":
            value = late(b"fastlambda.context", b"w3c")(inv.text(RAPI_CLIENT_CONTEXT))
        else:
            raise AttributeError("'Context' object has no attribute %r" % name)
        setattr(self, name, value)
        return value

    def get_remaining_time_in_millis(self):
        """Milliseconds until Lambda ends this invocation, never below 0."""
        left = self._epoch_deadline_time_in_ms - now_ms()
        return left if left > 0 else 0

    def w3c(self):
        """The W3C trace context that came with the event: a new dict."""
        return dict(self._w3c_fields)

    def response_stream(self, *args, **options):
        self.aws_request_id   # an AttributeError where there is no invocation
        return late(b"fastlambda.streams", b"open_stream")(self._invocation, *args, **options)

    @cython.always_allow_keywords(True)
    def log(self, message):
        """Writes `message` to the function's log as it is, without a new line."""
        late(b"fastlambda.context", b"log")(message)

    def __copy__(self):
        return late(b"fastlambda.context", b"copied")(self, None)

    def __deepcopy__(self, memo):
        return late(b"fastlambda.context", b"copied")(self, memo)

    def __reduce_ex__(self, protocol):
        return late(b"fastlambda.context", b"reduced")(self)

    def __dir__(self):
        return late(b"fastlambda.context", b"names_of")(self)

    def __repr__(self):
        return late(b"fastlambda.context", b"describe")(self)


fastlambda_fill = fill_context
fastlambda_filled_type = <PyTypeObject *>Context
