#!/bin/sh
# Starts fastlambda in place of AWS's client in a managed Python runtime: AWS_LAMBDA_EXEC_WRAPPER=/opt/fastlambda-wrapper
#
# Lambda calls it with the interpreter and AWS's start script.  The same interpreter is started, with sys.path as AWS's
# script makes it.  If fastlambda cannot start, whatever the reason before its first poll, a line says why and AWS's
# client runs; with FASTLAMBDA_STRICT=1 the process ends instead.  A shell, because Python's path has the version in it: it costs half a millisecond.

if [ "$1" = --without ]; then
    why="fastlambda cannot start: $2"
    shift 2
    if [ "$FASTLAMBDA_STRICT" = 1 ]; then
        echo "$why; FASTLAMBDA_STRICT=1 forbids to go on with AWS's client" >&2
        exit 1
    fi
    echo "$why; AWS's client runs instead" >&2
    exec "$@"
fi
if [ $# -lt 2 ]; then
    echo "usage: $0 PYTHON SCRIPT (Lambda calls it so: set AWS_LAMBDA_EXEC_WRAPPER to its path)" >&2
    exit 64
fi
# A layer is unpacked around this file.  In a function's own package this is not where the layers are.
case $0 in
"${LAMBDA_TASK_ROOT:-/var/task}"/*) layers=/opt/python ;;
*) layers=${0%/*}/python ;;
esac

# Only what has to come before the import: this is compiled at each start (0.1 ms), _core does the rest.
# An owner's PYTHONPATH keeps the layers off the path; then ours comes last, for its own imports.
program='import sys
me, layers, *command = sys.argv[1:]
try:
    from os import environ, execv, getcwd
    if sys.version_info < (3, 11): raise ImportError("it needs Python 3.11 or newer")
    lib = "/lib/python%d.%d/site-packages" % sys.version_info[:2]
    task, runtime = environ.get("LAMBDA_TASK_ROOT") or getcwd(), command[1].rpartition("/")[0]
    sites = [layers + lib, layers]
    if "PYTHONPATH" in environ: sys.path[:] = [task, runtime, *sys.path[1:], *sites]
    else: sys.path[:1] = [task, *sites, sys.prefix + lib, runtime]
    from fastlambda._core import main_managed
except Exception as exc:
    why = exc
else:
    sys.argv[:] = command[1:]
    why = main_managed(task, sites, runtime)
if why is not None:
    text = " ".join(("%s (%s: %s)" % (why, sys.executable, type(why).__name__)).split())
    execv(me, [me, "--without", text, *command])'

# Without an own PYTHONPATH nothing but that program knows the folders, so the site module, about a tenth of the start,
# is left out (-S); main_managed() runs it when there is something in it to do.
if [ -z "${PYTHONPATH+set}" ]; then
    exec "$1" -S -c "$program" "$0" "$layers" "$@"
fi
exec "$1" -c "$program" "$0" "$layers" "$@"
