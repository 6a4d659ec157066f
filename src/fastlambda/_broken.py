"""Says what to do when the extension module cannot be loaded; loaded only then.

Promises: one error that names the platform, what was found and what to install.  Must not import anything of ours.
"""

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

OLDEST = (3, 11)
_OURS = "fastlambda cannot load its extension module"
_HERE = os.path.dirname(os.path.abspath(__file__))


def explain(exc: ImportError) -> "NoReturn":
    """Raises the error for an import that failed.

    Args:
        exc: what importing a room of this package raised.

    Raises:
        ImportError: `exc` itself when the extension is loaded and something else is missing; else one that helps.
    """
    if "fastlambda._core" in sys.modules or str(exc).startswith(_OURS):
        raise exc
    import platform
    from importlib.machinery import EXTENSION_SUFFIXES

    libc = " ".join(platform.libc_ver()).strip() or ("musl or unknown libc" if sys.platform == "linux" else "")
    machine = f"{sys.platform} {platform.machine()}" + (f", {libc}" if libc else "")
    python = f"{platform.python_implementation()} {platform.python_version()}"
    found = sorted(name for name in os.listdir(_HERE) if name.startswith("_core.") and name.endswith((".so", ".pyd")))
    lines = [
        f"{_OURS}: {exc}",
        f"  this process   {python} on {machine} ({sys.executable})",
        f"  looked in      {_HERE}",
    ]
    if sys.version_info < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        lines[0] = f"{_OURS}: it needs Python {oldest} or newer, and this is {platform.python_version()}"
        cure = (
            f"use Python {oldest} or newer; in Lambda, choose a runtime from python{oldest} on, and make the zip for "
            f"it: fastlambda package --python {oldest}"
        )
    elif "t" in sys.abiflags:
        # Found or not: such an interpreter loads no extension of the stable ABI that was built for the others.
        lines.append(f"  found          {', '.join(found) or 'no _core'}; this is a free-threaded build (no GIL)")
        cure = "use the ordinary build of this Python, as Lambda does: fastlambda has none for free-threaded ones"
    elif not found:
        lines.append(f"  found          no _core with one of {', '.join(EXTENSION_SUFFIXES)}")
        cure = (
            "install the wheel for this platform: pip install --only-binary=fastlambda fastlambda; "
            "in a checkout: python setup.py build_ext --inplace"
        )
    else:
        built = ", ".join(f"{name} ({_built_for(os.path.join(_HERE, name))})" for name in found)
        lines.append(f"  found          {built}")
        cure = (
            "it was most likely built for another machine; for Lambda: fastlambda layer --arch x86_64 or --arch arm64, "
            "whichever the function's architecture is; here: pip install --force-reinstall fastlambda"
        )
    lines.append(f"  what to do     {cure}")
    raise ImportError("\n".join(lines), name="fastlambda._core", path=exc.path) from exc


def _built_for(path: str) -> str:
    """What the head of a library says: format and machine."""
    with open(path, "rb") as file:
        head = file.read(20)
    if head[:4] == b"\x7fELF" and len(head) == 20:
        number = int.from_bytes(head[18:20], "little")
        return "ELF for " + {62: "x86_64", 183: "aarch64"}.get(number, f"machine {number}")
    if head[:4] == b"\xcf\xfa\xed\xfe":
        return "Mach-O, for macOS"
    return "not a library, or damaged"
