"""Control groups for the tools and tests that need a function's share of CPU or its memory: version 1 or 2.

Owns nothing between calls. Promises that a group is removed again, and that NoCgroup says why none can be made. A group
that measures weighs more than other work on the machine, so that what is measured is the quota and not the neighbours.
Source: cgroups(7); the kernel's admin-guide/cgroup-v1 (cpu bandwidth, memory), cgroup-v2.
"""

from __future__ import annotations

import contextlib
import os
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

ROOT = Path("/sys/fs/cgroup")
# What Lambda gives at 128 MB of 1,769 MB for one virtual CPU.
FUNCTION_128_MB = (1_447, 20_000)


class NoCgroup(Exception):
    """No group can be made here."""


def _own_path(controller: str) -> str:
    """Of this process in a hierarchy; "" names version 2."""
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, names, path = line.split(":", 2)
        if controller in names.split(","):
            return path
    return "/"


def _mount(controller: str) -> tuple[Path, int]:
    """Where groups with that controller are made, and the version.

    Raises:
        NoCgroup: nowhere.
    """
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        fields, _, kind = line.partition(" - ")
        mount = Path(fields.split()[4])
        if kind.startswith("cgroup ") and controller in kind.split()[2].split(","):
            return mount, 1
        controllers = mount / "cgroup.controllers"
        if kind.startswith("cgroup2 ") and controllers.exists() and controller in controllers.read_text().split():
            own = mount / _own_path("").lstrip("/")
            return (own if own.exists() else mount), 2
    raise NoCgroup(f"no control group hierarchy with {controller!r} is mounted")


class Group:
    """One group with one controller; a context manager, which removes it.

    Args:
        controller: "cpu" or "memory".
        settings: file name to text, by version.
    """

    def __init__(self, controller: str, settings: dict[int, dict[str, str]]) -> None:
        base, self.version = _mount(controller)
        self.path = base / f"fastlambda-{uuid.uuid4().hex[:12]}"
        try:
            if self.version == 2:
                (base / "cgroup.subtree_control").write_text(f"+{controller}")
            self.path.mkdir()
        except OSError as exc:
            raise NoCgroup(f"no group with {controller!r} can be made in {base}: {exc.strerror}") from None
        try:
            for name, text in settings[self.version].items():
                (self.path / name).write_text(text)
        except OSError as exc:
            self.close()
            raise NoCgroup(f"{self.path.parent}: {name} cannot be set: {exc.strerror}") from None

    def command(self, argv: list[str]) -> list[str]:
        """A command line that runs `argv` inside the group."""
        return ["/bin/sh", "-c", 'echo $$ >"$0" && exec "$@"', str(self.path / "cgroup.procs"), *argv]

    def read(self, name: str) -> str:
        return (self.path / name).read_text()

    def close(self) -> None:
        """Removes the group; what is left of its processes gets a moment to end."""
        for _ in range(200):
            with contextlib.suppress(FileNotFoundError):
                try:
                    self.path.rmdir()
                except OSError:
                    time.sleep(0.02)
                    continue
            return

    def __enter__(self) -> Group:
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        self.close()


def cpu_group(quota_us: int, period_us: int) -> Group:
    """A group that gets `quota_us` of CPU time in each `period_us`.

    Raises:
        NoCgroup: none can be made here.
    """
    return Group(
        "cpu",
        {
            1: {"cpu.cfs_period_us": f"{period_us}", "cpu.cfs_quota_us": f"{quota_us}", "cpu.shares": "32768"},
            2: {"cpu.max": f"{quota_us} {period_us}", "cpu.weight": "3000"},
        },
    )


def memory_group(limit: int) -> Group:
    """A group whose processes are killed when they use more than `limit` bytes together.

    Raises:
        NoCgroup: none can be made here.
    """
    return Group(
        "memory",
        {
            1: {"memory.limit_in_bytes": f"{limit}", "memory.swappiness": "0"},
            2: {"memory.max": f"{limit}", "memory.swap.max": "0"},
        },
    )


def memory_files(group: Group) -> dict[str, object]:
    """Where the kernel's count of a memory group can be read, and what it takes back before it kills."""
    usage = {1: "memory.usage_in_bytes", 2: "memory.current"}[group.version]
    reclaimable = {
        1: ("total_inactive_file", "total_active_file"),
        2: ("inactive_file", "active_file", "slab_reclaimable"),
    }[group.version]
    return {
        "usage": str(group.path / usage),
        "stat": str(group.path / "memory.stat"),
        "reclaimable": reclaimable,
    }


@contextlib.contextmanager
def precedence() -> Iterator[None]:
    """Threads started inside come before other work, where that is allowed: they read the clock that is measured by."""
    before = os.getpriority(os.PRIO_PROCESS, 0)
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, -15)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, 0, before)
