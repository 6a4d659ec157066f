# ---- signals of the guard -----------------------------------------------------------------------------------------

cdef extern from *:
    """
    #ifdef __GLIBC__
    #include <malloc.h>
    #define FASTLAMBDA_TRIM_HEAP() malloc_trim(0)
    #else
    #define FASTLAMBDA_TRIM_HEAP() 0
    #endif
    """
    int FASTLAMBDA_TRIM_HEAP() noexcept nogil


cdef extern from "Python.h":
    int PyThreadState_SetAsyncExc(unsigned long ident, object kind)

# Of the process, as signals are.
cdef int DUMP_SIGNAL = 0
cdef int INTERRUPT_SIGNAL = 0


cdef int claim_dump_signal() except -1:
    """A free signal whose C handler dumps the stacks of all threads to stderr, without the GIL.  0: none."""
    global DUMP_SIGNAL
    if DUMP_SIGNAL == 0:
        number = guard_free_signal(guard_signals_below())
        if number:
            # Built into the interpreter.  The arguments: signal, file, all threads, chain.
            late(b"faulthandler", b"register")(number, guard_keep_stderr(), True, False)
            DUMP_SIGNAL = number
    return DUMP_SIGNAL


cdef int claim_interrupt_signal() noexcept:
    global INTERRUPT_SIGNAL
    if INTERRUPT_SIGNAL == 0:
        INTERRUPT_SIGNAL = guard_free_signal(DUMP_SIGNAL or guard_signals_below())
    return INTERRUPT_SIGNAL


cdef int watch_init(Config config) except -1:
    """Has the stacks dumped half a second before Lambda's limit for init, so that the log says where it hangs."""
    cdef int64_t limit_ms = config.init_limit_ms
    if config.guard and limit_ms > 500:
        guard_set_alarm(claim_dump_signal(), limit_ms - 500)
    return 0


cdef void load_what_tells() noexcept with gil:
    """Loads what a report needs: on a thread of its own, while a handler comes close to its deadline.

    Where CPU is scarce that takes longer than there is time between the interruption and the deadline.
    """
    late_if_possible(b"fastlambda.failures", b"fail")
    late_if_possible(b"fastlambda.logs", b"log_error")
    late_if_possible(b"fastlambda.stacks", b"format_frames")
    late_if_possible(b"fastlambda.interruption", b"interrupt")
    late_if_possible(b"fastlambda.ending", b"end")


def raise_in_thread(unsigned long ident, kind, /):
    """Raises `kind`, a class of exceptions, in the thread of that identifier, once it runs Python code."""
    return PyThreadState_SetAsyncExc(ident, kind)
