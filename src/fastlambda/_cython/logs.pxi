# ---- the process's logs -------------------------------------------------------------------------------------------

@cython.final
cdef class Unbuffered(Referable):
    """A standard stream whose writes are seen at once; everything else is the stream's own, or set on this object."""
    cdef dict __dict__
    cdef public object stream

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
    """Where and how this process logs; on sys.meta_path, it waits for somebody to import logging, and configures it.

    The same for the other names that have to be seen when they are imported: a second finder would be a second call for
    each import.
    """

    cdef int begin(self, Runtime runtime) except -1:
        config = runtime.config
        self.runtime = runtime
        self.fd = -1
        if config.telemetry_fd:
            self.fd = int(config.telemetry_fd)
            self.file = file_of(self.fd)
            _environ.pop("_LAMBDA_TELEMETRY_LOG_FD", None)
            late(b"os", b"set_inheritable")(self.fd, False)
        return 0

    def find_spec(self, *name_path_target, **named):
        """Runs for each import of a module that is not loaded yet: does nothing but compare."""
        name = name_path_target[0]
        if PyUnicode_CompareWithASCIIString(name, b"logging") == 0:
            if not self.has_logging:
                self.has_logging = True
                return late(b"fastlambda.logs", b"spec_for_logging")(self)
        elif PyUnicode_CompareWithASCIIString(name, b"awslambdaric") == 0:
            return late(b"fastlambda.face", b"spec")()
        elif PyUnicode_CompareWithASCIIString(name, b"keyword") == 0:
            lend_submodule(sys.modules.get("collections"))
        return None

    def has_telemetry(self):
        """Whether the platform's descriptor is there, and user code has not put another file in its place."""
        return self.fd >= 0 and file_of(self.fd) == self.file

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
    sys.meta_path.insert(0, LOGS)
    logging = sys.modules.get("logging")
    if logging is not None:
        LOGS.has_logging = True
        late(b"fastlambda.logs", b"configure")(logging, LOGS)
    lend_submodule(sys.modules.get("collections"))
    program = sys.modules.get("__main__")
    if program is not None and not hasattr(program, "__getattr__"):
        program.__getattr__ = attribute_of_program
    if "awslambdaric" in sys.modules:
        late(b"fastlambda.face", b"complain_of_the_real_one")()


# ---- what functions find that run under AWS's client ---------------------------------------------------------------

def attribute_of_program(str name, /):
    """__getattr__ of the module __main__, where tools look for AWS's client: runs for what is not there."""
    if name == "bootstrap" or name == "awslambdaricmain" or name == "LambdaRuntimeClient":
        return late(b"fastlambda.face", b"attribute_of_program")(name)
    raise AttributeError("module '__main__' has no attribute %r" % name)


cdef int lend_submodule(collections) except -1:
    """Makes collections.abc reachable without an import, as it is where AWS's client has imported it (before Python 3.13,
    which always does).  Called when collections is being loaded, which imports keyword."""
    if collections is not None and not hasattr(collections, "abc") and not hasattr(collections, "__getattr__"):
        collections.__getattr__ = attribute_of_collections
    return 0


def attribute_of_collections(str name, /):
    if name == "abc":
        return late(b"importlib", b"import_module")("collections.abc")
    raise AttributeError("module 'collections' has no attribute %r" % name)
