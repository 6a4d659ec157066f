"""Names each way in which a handler string can fail, as AWS's client does.

Loaded only when one has failed: finding and importing a handler is _core's.
Source: Runtime API contract, "Handler string".
"""

import sys

from fastlambda.errors import HandlerFault

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

USAGE = """\
usage: python -m fastlambda TARGET

Runs the function TARGET for the Runtime API that AWS_LAMBDA_RUNTIME_API names, until Lambda ends the process.

  TARGET            module.function       an AWS handler, called as function(event, context)
                    module:RunnerClass    a fastlambda.Runner
                    (not given)           what _HANDLER says, as in Lambda

On your own machine, without Lambda:
  fastlambda invoke module.function '{"key": "value"}'
"""


def usage(argv: list[str]) -> None:
    """Explains the command line; ends the process with 0 when asked for, else with 2."""
    if argv and argv[0] in ("-h", "--help"):
        sys.stdout.write(USAGE)
        raise SystemExit(0)
    what = f"unexpected arguments: {' '.join(argv)}" if argv else "no TARGET is given and _HANDLER is not set"
    sys.stderr.write(f"fastlambda: {what}\n\n{USAGE}")
    raise SystemExit(2)


def fault(target: str, exc: BaseException) -> "NoReturn":
    """Raises what is to be reported after loading `target` ended with `exc`.

    Args:
        target: the handler string.
        exc: what finding, importing or looking up raised.

    Raises:
        HandlerFault: with the platform's error type.
        BaseException: `exc` itself, when the module's own code raised it.
    """
    module_name, dot, name = target.rpartition(".")
    if not dot:
        raise HandlerFault(
            "Runtime.MalformedHandlerName", f"Bad handler '{target}': not enough values to unpack (expected 2, got 1)"
        ) from None
    if not module_name:
        raise ValueError("Empty module name") from None
    if module_name.partition(".")[0] in sys.builtin_module_names:
        raise HandlerFault(
            "Runtime.BuiltInModuleConflict", f"Cannot use built-in module {module_name} as a handler module"
        ) from None
    dotted = module_name.replace("/", ".")
    if dotted.startswith("."):
        raise TypeError(f"the 'package' argument is required to perform a relative import for {dotted!r}") from None
    if isinstance(exc, ImportError):
        raise HandlerFault("Runtime.ImportModuleError", f"Unable to import module '{module_name}': {exc}") from exc
    if isinstance(exc, SyntaxError):
        text = exc.text or ""
        raise HandlerFault(
            "Runtime.UserCodeSyntaxError",
            f"Syntax error in module '{module_name}': {exc}",
            [f'  File "{exc.filename}" Line {exc.lineno}\n    {text}'],
        ) from None
    module = sys.modules.get(module_name.replace("/", "."))
    if isinstance(exc, AttributeError) and module is not None and exc.obj is module and exc.name == name:
        raise HandlerFault("Runtime.HandlerNotFound", f"Handler '{name}' missing on module '{module_name}'") from None
    raise exc


def runner_fault(target: str, exc: BaseException) -> BaseException:
    """What is to be reported after starting the Runner `target` (module:Class) ended with `exc`."""
    module_name, _, class_name = target.partition(":")
    if isinstance(exc, ImportError) and exc.name is not None and f"{module_name}.".startswith(f"{exc.name}."):
        return HandlerFault("Runtime.ImportModuleError", f"Unable to import module '{module_name}': {exc}")
    module = sys.modules.get(module_name)
    if isinstance(exc, AttributeError) and exc.obj is module and module is not None:
        return HandlerFault("Runtime.HandlerNotFound", f"Runner '{class_name}' missing on module '{module_name}'")
    return exc
