"""Copies a function's own files to where they are packed.

Owns what may be among them.  Promises: links stay links and lead nowhere but into the tree; nothing is read that is not
a file, nor more of it than Lambda takes; what is left out is named.
"""

import os
import stat
from collections import Counter
from pathlib import Path, PurePosixPath

from fastlambda.packaging import archive
from fastlambda.packaging.errors import BadArgument, PackagingError
from fastlambda.packaging.report import named
from fastlambda.packaging.rules import MAX_CERTIFICATES, Rules, is_public

_KINDS = {stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device"}
_PIECE = 1 << 20


class Tree:
    """The files of one folder, looked at and not yet copied.

    Args:
        source: the folder.
        rules: which of them stay.
        out: the zip that will be written; it is not packed into itself.

    Attributes:
        files: regular files, below the source.
        links: each link's path, and what it says in Lambda.
        size: bytes of all files when they were looked at.

    Raises:
        PackagingError: a link that leads out of the folder or nowhere, a pipe, socket or device, a name that is not
            UTF-8.
        TooLarge: more than Lambda takes.
    """

    def __init__(self, source: Path, rules: Rules, out: Path) -> None:
        self.source = source
        self.files: list[PurePosixPath] = []
        self.links: list[tuple[PurePosixPath, str]] = []
        self.size = 0
        self._rules = rules
        self._out = os.path.realpath(out)
        self._real = os.path.realpath(source)
        self._secrets: list[str] = []
        self._excluded: list[str] = []
        self._not_code: Counter[str] = Counter()
        self._replaced: list[str] = []
        self._left: set[str] = set()  # real paths of what is left out
        self._seen_links: list[PurePosixPath] = []
        self._look(PurePosixPath(), only_included=False)
        for link in self._seen_links:
            self._follow(link)

    def report(self) -> list[str]:
        """A line for each reason to leave something out, and for what else one should know.  After copy()."""
        lines = []
        if self._secrets:
            lines.append(
                named("LEFT OUT, may hold secrets (--include PATTERN for what you mean to pack):", self._secrets, 100)
            )
        if self._excluded:
            lines.append(named("left out, --exclude:", self._excluded))
        if self._not_code:
            counted = [name if n == 1 else f"{name} ({n} times)" for name, n in self._not_code.items()]
            lines.append(named("left out, no code:", counted, 100))
        if self._replaced:
            lines.append(named("NOTE: your files, in the place of those that packages bring:", self._replaced))
        return [*lines, *self._doubts()]

    def _doubts(self) -> list[str]:
        """What is packed, and is seldom meant to be."""
        doubtful = [f"{path}" for path in self.files if path.suffix == ".zip"]
        tests = {
            path.parts[0] + "/" for path in self.files if len(path.parts) > 1 and path.parts[0] in ("test", "tests")
        }
        doubtful += sorted(tests)
        doubtful += [
            f"{path}" for path in self.files if path.name == "conftest.py" and f"{path.parts[0]}/" not in tests
        ]
        if not doubtful:
            return []
        return [named("NOTE: packed with the rest; --exclude NAME what the function does not need:", doubtful)]

    # ---- looking ---------------------------------------------------------------------------------------------------

    def _look(self, below: PurePosixPath, *, only_included: bool) -> None:
        with os.scandir(self.source / below) as entries:
            found = sorted(entries, key=lambda entry: entry.name)
        names = {entry.name for entry in found}
        if not found and below.parts:
            self._not_code[f"{below}/, which is empty"] += 1
        for entry in found:
            path = below / entry.name
            try:
                entry.name.encode()
            except UnicodeEncodeError:
                shown = os.fsencode(str(self.source / path))
                raise PackagingError(
                    f"the name of {shown!r} is not UTF-8, and names in a zip for Lambda are: rename or --exclude it"
                ) from None
            status = entry.stat(follow_symlinks=False)
            is_folder = stat.S_ISDIR(status.st_mode)
            is_included = self._rules.is_included(path)
            if only_included:  # in a folder that is left out, and already named
                if not (is_included or (is_folder and self._rules.may_include_below(path))):
                    self._left.add(os.path.join(self._real, path))
                    continue
            elif self._is_left_out(path, status, names):
                self._left.add(os.path.join(self._real, path))
                if is_folder and self._rules.may_include_below(path):
                    self._look(path, only_included=True)
                continue
            if stat.S_ISLNK(status.st_mode):
                self._seen_links.append(path)
            elif is_folder:
                self._look(path, only_included=only_included and not is_included)
            elif stat.S_ISREG(status.st_mode):
                self.files.append(path)
                self.size += status.st_size
                archive.check_size(self.size, str(self.source))
            else:
                kind = _KINDS.get(stat.S_IFMT(status.st_mode), "no file")
                raise PackagingError(f"{self.source / path} is {kind}, which no zip can hold: remove or --exclude it")

    def _is_left_out(self, path: PurePosixPath, status: os.stat_result, names: set[str]) -> bool:
        if os.path.realpath(self.source / path) == self._out:
            return True
        why = self._rules.why_left_out(path)
        if why == "maybe secret":
            if stat.S_ISREG(status.st_mode) and is_public(path.name, self._head(path)):
                return False
            self._secrets.append(path.as_posix() + "/" * stat.S_ISDIR(status.st_mode))
        elif why == "excluded":
            self._excluded.append(path.as_posix())
        elif why == "not code":
            self._not_code[path.name] += 1
            if path.name == "__pycache__":
                self._look_for_orphans(path, names)
        elif path.suffix == ".pyc" and path.stem + ".py" in names:
            self._not_code["*.pyc beside its source"] += 1  # the source comes first, and is compiled anew
        else:
            return False
        return True

    def _look_for_orphans(self, folder: PurePosixPath, names: set[str]) -> None:
        """Bytecode without its source: from __pycache__, Python does not import that."""
        for name in sorted(os.listdir(self.source / folder)):
            stem = name.partition(".")[0]
            if name.endswith(".pyc") and stem + ".py" not in names:
                self._not_code[f"{folder / name}, which has no source and is not imported from there"] += 1

    def _head(self, path: PurePosixPath) -> bytes:
        with (self.source / path).open("rb") as file:
            content = file.read(MAX_CERTIFICATES + 1)
        return content if len(content) <= MAX_CERTIFICATES else b""

    def _follow(self, link: PurePosixPath) -> None:
        """Notes what a link says in Lambda, whatever it says here: the way from it to what it finally leads to."""
        path = self.source / link
        says = os.readlink(path)
        try:
            real = os.path.realpath(path, strict=True)
        except OSError as exc:
            raise PackagingError(
                f"{path} is a link to {says!r}, which leads nowhere ({exc.strerror}): remove or --exclude it"
            ) from None
        if real != self._real and not real.startswith(self._real + os.sep):
            raise PackagingError(
                f"{path} is a link to {says!r}, out of {self.source}: put a copy in its place, or --exclude it"
            )
        if any(real == left or real.startswith(left + os.sep) for left in self._left):
            self._not_code[f"{link}, a link to what is left out"] += 1
            return
        folder = os.path.realpath(path.parent)
        self.links.append((link, os.path.relpath(real, folder)))

    # ---- copying ---------------------------------------------------------------------------------------------------

    def copy(self, root: Path) -> None:
        """Copies all of it over what is there already.

        Raises:
            PackagingError: a file has changed its kind since it was looked at, or a folder is in a link's place.
            TooLarge: files have grown over what Lambda takes.
        """
        left = archive.MAX_UNPACKED
        for path in self.files:
            left = self._copy_file(path, root / path, left)
        for path, says in self.links:
            to = root / path
            to.parent.mkdir(parents=True, exist_ok=True)
            if to.is_dir() and not to.is_symlink():
                raise PackagingError(
                    f"{self.source / path} is a link, and the requirements bring a folder of that name"
                )
            to.unlink(missing_ok=True)
            to.symlink_to(says)

    def _copy_file(self, path: PurePosixPath, to: Path, left: int) -> int:
        try:
            to.parent.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError):
            raise PackagingError(
                f"{self.source / path.parent} is a folder, and the requirements bring a file"
            ) from None
        if to.is_dir():
            raise PackagingError(f"{self.source / path} is a file, and the requirements bring a folder of that name")
        descriptor = os.open(self.source / path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise PackagingError(f"{self.source / path} is not a file any more")
            if to.exists() or to.is_symlink():
                self._replaced.append(path.as_posix())
                to.unlink()
            with to.open("wb") as copy:
                while piece := file.read(_PIECE):
                    left -= len(piece)
                    archive.check_size(archive.MAX_UNPACKED - left, str(self.source))
                    copy.write(piece)
        to.chmod(stat.S_IMODE(status.st_mode) & 0o111 | 0o644)
        return left


def look(source: Path, rules: Rules, out: Path) -> Tree:
    """A function's files.

    Raises:
        BadArgument: there is no such folder.
        PackagingError, TooLarge: see Tree.
    """
    if not source.is_dir():
        raise BadArgument(f"{source} is neither a folder nor a file")
    return Tree(source, rules, out)
