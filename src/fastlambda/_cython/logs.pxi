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
