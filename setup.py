"""Only the extension, and the version in the extras; all metadata is in pyproject.toml.

Environment switches (see CONTRIBUTING.md):
  FASTLAMBDA_BUILD_STRICT=1   warnings are errors, as on our own lanes
  FASTLAMBDA_BUILD_DEBUG=1    counters of buffers and threads, -O0 -g, asserts on
  FASTLAMBDA_SANITIZE=...     address,undefined or thread
  FASTLAMBDA_BUILD_FOR=...    linux or darwin: what a cross compiler builds for
  FASTLAMBDA_BUILD_SMALL=1    what an ordinary invocation does not run is compiled for size (clang only): the wheels
"""

import os
import re
import runpy
import sys
import tomllib
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup

NATIVE = "src/fastlambda/_native"
STRICT = bool(os.environ.get("FASTLAMBDA_BUILD_STRICT"))
DEBUG = bool(os.environ.get("FASTLAMBDA_BUILD_DEBUG"))
SANITIZE = os.environ.get("FASTLAMBDA_SANITIZE", "")
SMALL = bool(os.environ.get("FASTLAMBDA_BUILD_SMALL"))
SYSTEM = os.environ.get("FASTLAMBDA_BUILD_FOR", sys.platform)

# Hidden symbols and dead sections: the extension's size is part of every cold start.
compile_args = ["-std=gnu11", "-fvisibility=hidden", "-ffunction-sections", "-fdata-sections", "-pthread"]
# Cython's stable-ABI start-up would import `inspect` and `collections.abc`.
compile_args += ["-include", f"{NATIVE}/diet.h"]
# What the stable ABI does not have must not link by accident.
compile_args += ["-Werror=implicit-function-declaration"]
link_args = ["-pthread"]
if SYSTEM == "linux":
    link_args += ["-Wl,--gc-sections", "-Wl,-Bsymbolic", "-Wl,-z,now", "-Wl,--as-needed"]
if STRICT:
    compile_args += ["-Wall", "-Wextra", "-Werror"]
if DEBUG:
    compile_args += ["-O0", "-g", "-DFASTLAMBDA_DEBUG=1", "-UNDEBUG"]
else:
    # No unwind tables: nothing here unwinds, and they are a tenth of the file.
    compile_args += ["-O2", "-g0", "-fno-asynchronous-unwind-tables", "-fno-unwind-tables", "-fomit-frame-pointer"]
    if SYSTEM == "linux":
        # Every symbol is bound at the start anyhow (-z now): no stubs for binding them later.
        compile_args += ["-fno-plt"]
        link_args += ["-Wl,-s", "-Wl,--hash-style=gnu"]
if SANITIZE:
    compile_args += [f"-fsanitize={SANITIZE}", "-fno-omit-frame-pointer"]
    link_args += [f"-fsanitize={SANITIZE}"]

VERSION = runpy.run_path("src/fastlambda/_version.py")["__version__"]

core = Extension(
    "fastlambda._core",
    sources=["src/fastlambda/_core.pyx", *sorted(str(p) for p in Path(NATIVE).glob("*.c"))],
    depends=sorted(str(p) for p in Path(NATIVE).glob("*.h")),
    include_dirs=[NATIVE],
    define_macros=[
        ("Py_LIMITED_API", "0x030B0000"),
        ("CYTHON_LIMITED_API", "1"),
        ("FASTLAMBDA_VERSION", f'"{VERSION}"'),
    ],
    py_limited_api=True,
    extra_compile_args=compile_args,
    extra_link_args=link_args,
)

# With FASTLAMBDA_BUILD_SMALL: what is compiled for speed all the same, because every invocation runs it.
HOT = {
    "_core.c": (
        "Runtime_serve_one Channel_next Channel_exchange Channel_send_out Channel_receive Channel_read_answer "
        "Channel_keep_fields Codec_decode_exactly Channel_post_result Runtime_publish_trace"
    ),
    "guard.c": "guard_shared guard_arm guard_answer guard_is_forked",
}
PUSH = "#pragma clang attribute push(__attribute__((minsize)), apply_to = function)"
POP = "#pragma clang attribute pop"


def small_copy(source: str) -> str:
    """Writes a copy of a C file in which all functions but those of HOT are compiled for size; returns its path.

    A prototype counts too: what one declaration of a function asks for holds for all of them.
    """
    path = Path(source)
    names = HOT[path.name].split()
    begins = re.compile(rf"\w.*\b(?:__pyx_f_10fastlambda_5_core_\d*)?({'|'.join(names)})\(")
    header = path.with_suffix(".h")
    lines, seen, is_hot = [f'#include "{header.name}"'] if header.exists() else [], set(), False
    lines.append(PUSH)
    for line in path.read_text().splitlines():
        found = None if is_hot else begins.match(line)
        if found:
            seen.add(found[1])
            lines.append(POP)
            is_hot = True
        lines.append(line)
        if is_hot and (line == "}" or (found and ";" in line)):
            lines.append(PUSH)
            is_hot = False
    if seen != set(names):
        sys.exit(f"setup.py: {path} has no {sorted(set(names) - seen)}, which HOT names")
    copy = path.with_suffix(".small.c")
    copy.write_text("\n".join([*lines, POP, ""]))
    return str(copy)


modules = cythonize([core], language_level=3, compiler_directives={"embedsignature": False})
if SMALL:
    modules[0].define_macros += [("CYTHON_COMPRESS_STRINGS", "0")]  # the wheel is: nothing compresses well twice
    compile_args += ["-Wno-pragma-clang-attribute"]  # regions between two declarations have no function
    modules[0].sources = [small_copy(path) if Path(path).name in HOT else path for path in modules[0].sources]

# fastlambda[local] is a second distribution of the very same version.
extras = tomllib.loads(Path("pyproject.toml").read_text())["tool"]["fastlambda"]["extras"]
extras = {name: [needed.format(version=VERSION) for needed in extra] for name, extra in extras.items()}

setup(ext_modules=modules, extras_require=extras, options={"bdist_wheel": {"py_limited_api": "cp311"}})
