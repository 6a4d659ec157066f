"""The Python and the machine that a zip is made for, and what packages ask about them.

Owns which wheels a runtime of Lambda can load, and the answers to environment markers there.  Knows no pip.
Source: AWS Lambda runtimes (Amazon Linux 2 up to Python 3.11, 2023 from 3.12 on); PEP 600; the dependency specifiers
specification, "Environment markers".
"""

import platform

from fastlambda.packaging.errors import BadArgument

ARCHITECTURES = {"x86_64": "x86_64", "arm64": "aarch64"}
OLDEST_MINOR = 11
# Lambda keeps its runtimes at a late patch release and does not say which: later than any that a marker speaks of.
PATCH = 99


class Target:
    """One runtime of Lambda.

    Attributes:
        python: "3.13".
        arch: Lambda's word for it, "x86_64" or "arm64".
        machine: the kernel's word for it, "x86_64" or "aarch64".
    """

    def __init__(self, python: str, arch: str) -> None:
        """
        Raises:
            BadArgument: no runtime that fastlambda has a wheel for.
        """
        major, _, minor = python.partition(".")
        if major != "3" or not (minor.isascii() and minor.isdecimal()) or int(minor) < OLDEST_MINOR:
            raise BadArgument(f"--python {python}: fastlambda runs on 3.{OLDEST_MINOR} and newer; write it as 3.13")
        if arch not in ARCHITECTURES:
            raise BadArgument(f"--arch {arch}: {' or '.join(sorted(ARCHITECTURES))}")
        self.python = f"3.{int(minor)}"
        self.arch = arch
        self.machine = ARCHITECTURES[arch]
        self._glibc = 26 if int(minor) <= 11 else 34

    def __str__(self) -> str:
        return f"Python {self.python} on {self.arch} (glibc 2.{self._glibc})"

    def is_here(self) -> bool:
        """Whether this machine has that architecture."""
        return {"arm64": "aarch64"}.get(platform.machine(), platform.machine()) == self.machine

    @property
    def full_version(self) -> str:
        """What `Requires-Python` and `python_full_version` are compared with."""
        return f"{self.python}.{PATCH}"

    def platform_tags(self) -> list[str]:
        """The wheels that the runtime can load, newest first."""
        tags = [f"manylinux_2_{minor}_{self.machine}" for minor in range(self._glibc, 4, -1)]
        old = ["manylinux2014", "manylinux2010", "manylinux1"] if self.arch == "x86_64" else ["manylinux2014"]
        return [*tags, *(f"{name}_{self.machine}" for name in old), f"linux_{self.machine}"]

    def markers(self) -> dict[str, str]:
        """The answers to environment markers.  The kernel's release and version are nobody's business: empty."""
        return {
            "implementation_name": "cpython",
            "implementation_version": self.full_version,
            "os_name": "posix",
            "platform_machine": self.machine,
            "platform_python_implementation": "CPython",
            "platform_release": "",
            "platform_system": "Linux",
            "platform_version": "",
            "python_full_version": self.full_version,
            "python_version": self.python,
            "sys_platform": "linux",
        }
