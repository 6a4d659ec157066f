"""Only the extension, and the version in the extras; all metadata is in pyproject.toml.

Environment switches (see CONTRIBUTING.md):
  FASTLAMBDA_BUILD_STRICT=1   warnings are errors, as on our own lanes
  FASTLAMBDA_BUILD_DEBUG=1    counters of buffers and threads, -O0 -g, asserts on
  FASTLAMBDA_SANITIZE=...     address,undefined or thread
  FASTLAMBDA_BUILD_FOR=...    linux or darwin: what a cross compiler builds for
  FASTLAMBDA_BUILD_SMALL=1    compiled for size (clang only): the wheels
"""

import os
import runpy
import shlex
import shutil
import sys
import sysconfig
import tomllib
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

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
if not SANITIZE:
    # Hardened: a call of the C library with a wrong size ends the process, and so does a smashed stack (see Build);
    # docs/performance.md has what it costs.  FORTIFY needs a compiler that optimises; some bring a level of their own.
    compile_args += [] if DEBUG else ["-U_FORTIFY_SOURCE", "-D_FORTIFY_SOURCE=2"]
    if SYSTEM == "linux":
        # What the loader has bound cannot be written to (with -z now), and no stack is code.
        link_args += ["-Wl,-z,relro", "-Wl,-z,noexecstack"]
if STRICT:
    compile_args += ["-Wall", "-Wextra", "-Werror"]
if DEBUG:
    compile_args += ["-O0", "-g", "-DFASTLAMBDA_DEBUG=1", "-UNDEBUG"]
else:
    # zig makes -Os of -Oz, which is a fifth more: so it is said to the compiler proper, too.
    compile_args += ["-Oz", "-Xclang", "-Oz"] if SMALL else ["-O2"]
    # No unwind tables: nothing here unwinds, and they are a tenth of the file.
    compile_args += ["-g0", "-fno-asynchronous-unwind-tables", "-fno-unwind-tables", "-fomit-frame-pointer"]
    if SYSTEM == "darwin":
        link_args += ["-Wl,-dead_strip", "-Wl,-x"]
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
        # A wheel is compressed as a whole: nothing compresses well twice.
        *([("CYTHON_COMPRESS_STRINGS", "0")] if SMALL else []),
    ],
    py_limited_api=True,
    extra_compile_args=compile_args,
    extra_link_args=link_args,
)

modules = cythonize([core], language_level=3, compiler_directives={"embedsignature": False})


class Build(build_ext):
    """Says what is missing before a compiler, or pip, says it in its own way; guards the stacks.

    Where bytes from outside are handled, in the C rooms, it guards all that has an array or gives an address away.
    Generated code gives addresses away all the time and has few buffers: there, what has a buffer.  Guarding all of
    it would cost 170 instructions for each invocation.
    """

    def run(self) -> None:
        compiler = shlex.split(os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc")[0]
        header = Path(sysconfig.get_path("include"), "Python.h")
        missing = [] if shutil.which(compiler) else [f"no C compiler: {compiler!r} is not on PATH"]
        if not header.exists():
            missing.append(f"no headers of Python: {header} is not there")
        if missing:
            version = ".".join(map(str, sys.version_info[:2]))
            raise SystemExit(
                f"fastlambda: cannot be built here: {'; '.join(missing)}.\n"
                f"  Debian, Ubuntu   apt-get install gcc libc6-dev python{version}-dev\n"
                "  Fedora, Amazon   dnf install gcc python3-devel\n"
                "  Alpine           apk add gcc musl-dev python3-dev\n"
                "  or take a wheel, which needs neither: docs/install.md"
            )
        super().run()

    def build_extension(self, ext: Extension) -> None:
        compile_one = self.compiler._compile

        def compile_guarded(obj, src, ext_name, cc_args, extra_postargs, pp_opts):  # type: ignore[no-untyped-def]
            flags = ["-fstack-protector-strong"]
            if Path(src).parent != Path(NATIVE):
                # zig makes the strong one of any: so it is said to the compiler proper.
                flags = ["-fstack-protector", *(["-Xclang", "-stack-protector", "-Xclang", "1"] if SMALL else [])]
            compile_one(obj, src, ext_name, cc_args, [*extra_postargs, *([] if SANITIZE else flags)], pp_opts)

        self.compiler._compile = compile_guarded
        super().build_extension(ext)


# fastlambda[local] is a second distribution of the very same version.
extras = tomllib.loads(Path("pyproject.toml").read_text())["tool"]["fastlambda"]["extras"]
extras = {name: [needed.format(version=VERSION) for needed in extra] for name, extra in extras.items()}

setup(
    ext_modules=modules,
    extras_require=extras,
    cmdclass={"build_ext": Build},
    options={"bdist_wheel": {"py_limited_api": "cp311"}},
)
