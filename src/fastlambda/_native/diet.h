/* What Cython's stable-ABI code does and we do without.  Included before everything else (-include in setup.py).
 *
 * Imports for its rarer features.  In a stable-ABI build, Cython 3.3 imports `inspect` to learn
 * seven constants and `collections.abc` for two type flags that only `match` statements use: together over 28 ms, more than
 * the whole start of the interpreter (CPython 3.11, `-X importtime`).  The constants have been the same since CPython 3.6
 * and are part of the `inspect` module's documentation; this extension has no `match` statement.
 * If a later Cython renames the functions, the macros do nothing: the test of the modules that a start loads would tell.
 */
#ifndef FASTLAMBDA_DIET_H
#define FASTLAMBDA_DIET_H

#define CO_OPTIMIZED 0x0001
#define CO_NEWLOCALS 0x0002
#define CO_VARARGS 0x0004
#define CO_VARKEYWORDS 0x0008
#define CO_GENERATOR 0x0020
#define CO_COROUTINE 0x0080
#define CO_ASYNC_GENERATOR 0x0200

/* The definition, written f(void), keeps a body that nothing calls; the call, written f(), becomes its success. */
#define __Pyx_init_co_variables(args) FASTLAMBDA_DIET_CO_##args
#define __Pyx_init_tpflags_variables(args) FASTLAMBDA_DIET_TP_##args
#define FASTLAMBDA_DIET_CO_ 0
#define FASTLAMBDA_DIET_TP_ 0
#define FASTLAMBDA_DIET_CO_void __attribute__((unused)) fastlambda_diet_co(void)
#define FASTLAMBDA_DIET_TP_void __attribute__((unused)) fastlambda_diet_tp(void)
/* Its seven calls vanish with the constants above. */
#define __Pyx_init_co_variable(a, b, c) __attribute__((unused)) fastlambda_diet_one(a, b, c)

/* No frame of this extension in a traceback: for each, Cython would compile a line of Python when an error passes, and its
 * line numbers are a twelfth of the file.  A debug build has them.  The call, whose second argument is a variable of
 * Cython's, does nothing; the prototype and the definition, where it is "int c_line", get another name.
 */
#ifndef FASTLAMBDA_DEBUG
#define __Pyx_AddTraceback(name, c_line, py_line, file) FASTLAMBDA_DIET_TRACE_##c_line)
#define FASTLAMBDA_DIET_TRACE___pyx_clineno ((void)0
#define FASTLAMBDA_DIET_TRACE_int \
    __attribute__((unused)) fastlambda_diet_trace(const char *funcname, int py_line, const char *filename, int
#endif

#endif
