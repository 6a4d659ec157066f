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
