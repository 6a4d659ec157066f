cdef enum:
    CO_COROUTINE = 0x80   # of a code object's co_flags, see the module inspect


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
        leave(exc)


cdef int leave(exc) except -1:
    told = late_if_possible(b"fastlambda.errors", b"leave")
    if told is None:
        raise exc   # the traceback tells it
    told(exc)


cdef int start(list argv) except -1:
    cdef Config config = Config.from_env()
    cdef str target = argv[0] if argv else config.handler
    if not target or len(argv) > 1 or target.startswith("-"):
        late(b"fastlambda.handler", b"usage")(argv)
    put_task_root(config)
    watch_init(config)
    if config.lazy_imports:
        late(b"fastlambda.lazy", b"begin")()
    if ":" in target:
        late(b"fastlambda.runner", b"runtime_for_target")(target, config).serve()
    else:
        runtime_for_handler(target, config).serve()
    return 0


cdef Runtime runtime_for_handler(str target, Config config):
    cdef Runtime runtime = Runtime(config, None)
    failed = None
    take_over(runtime)
    try:
        handler = runtime.call = load_handler(target)
        if isinstance(handler, type) and is_runner(handler):
            late(b"fastlambda.runner", b"adopt")(runtime, handler)   # module.RunnerClass
        elif is_async(handler):
            runtime.call = late(b"fastlambda.async_handler", b"adapt")(runtime, handler)
        begin = getattr(handler, "fastlambda_start", None)
        if begin is not None:
            begin(runtime)    # a web application's start-up belongs to init
    except BaseException as exc:
        failed = exc
    if failed is not None:    # outside of the except block, as AWS's client does it: tools look at sys.exc_info()
        late(b"fastlambda.errors", b"fail_init")(runtime.channel, failed)
    return runtime


cdef bint is_runner(handler) except -1:
    """Whether a class is a Runner; no Runner is declared without its module."""
    room = sys.modules.get("fastlambda.runner")
    return room is not None and issubclass(handler, room.Runner)


cdef bint is_async(handler) except -1:
    """Whether calling it gives a coroutine: `async def`, decorated or not, or an object whose __call__ is one."""
    cdef int depth = 0
    while depth < 20:
        code = getattr(handler, "__code__", None)
        if code is None and not isinstance(handler, type):
            code = getattr(getattr(type(handler), "__call__", None), "__code__", None)
        if code is not None and <long>code.co_flags & CO_COROUTINE:
            return True
        inner = getattr(handler, "__wrapped__", None)   # functools.wraps
        if inner is None:
            inner = getattr(handler, "func", None)      # functools.partial
        if inner is None:
            return False
        handler = inner
        depth += 1
    return False


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

    Returns:
        None when the loop has ended; what went wrong when that was before the first poll and no fault of the function's:
        then AWS's client can still do all of it, and the environment is as it was.
    """
    cdef bint is_ours = "PYTHONPATH" not in _environ   # the interpreter runs with -S
    telemetry_fd = _environ.get("_LAMBDA_TELEMETRY_LOG_FD")
    try:
        if is_ours:
            _environ["PYTHONPATH"] = runtime_dir
            put_sites([task, *sites])
        else:
            add_site(task)
        start([])
        why = None
    except Exception as exc:
        why = exc
    if why is None:
        return None
    if LOGS is not None and (LOGS.runtime.is_polling or LOGS.runtime.invocation is not None):
        leave(why)
    if is_ours:
        _environ.pop("PYTHONPATH", None)
    if LOGS is not None and LOGS.fd >= 0:
        _environ["_LAMBDA_TELEMETRY_LOG_FD"] = telemetry_fd
        late(b"os", b"set_inheritable")(LOGS.fd, True)
    return why


cdef int put_sites(list folders) except -1:
    """What the site module does in a start without -S."""
    cdef str own = sys.path[3]
    if holds_site_files(own):
        late(b"site", b"main")()
    else:   # what it gives to functions
        builtins = sys.modules["builtins"]
        for name in ("exit", "quit"):
            setattr(builtins, name, late(b"_sitebuiltins", b"Quitter")(name, "Ctrl-D (i.e. EOF)"))
        builtins.help = late(b"_sitebuiltins", b"_Helper")()
    for folder in folders:
        add_site(folder)
    return 0


cdef int add_site(str folder) except -1:
    """site.addsitedir(), where there is something for it."""
    if holds_site_files(folder):
        late(b"site", b"addsitedir")(folder)
    return 0


cdef bint holds_site_files(str folder) except -1:
    """Whether the site module would find something to do in a folder: .pth files, from Python 3.15 on .start files,
    sitecustomize, usercustomize.
    """
    try:
        names = late(b"os", b"listdir")(folder)
    except OSError:
        return False
    listing = "\n%s\n" % "\n".join(names)
    return ".pth\n" in listing or ".start\n" in listing or "\nsitecustomize" in listing or "\nusercustomize" in listing
