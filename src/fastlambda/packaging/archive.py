"""Writes a zip file that depends on nothing but its contents.

Owns names, times and permissions inside the zip, and Lambda's size limits.  Promises: the same files give the same
bytes, on every machine; a zip is there whole or not at all.  Knows nothing of Python packages.
Source: AWS Lambda quotas, "Function configuration, deployment, and execution"; PKWARE APPNOTE 6.3 for the links.
"""

import contextlib
import os
import stat
import tempfile
import zipfile
from pathlib import Path

from fastlambda.packaging.ending import undisturbed
from fastlambda.packaging.errors import TooLarge

# A function's code and all its layers, unpacked.
MAX_UNPACKED = 250 * 1024 * 1024
# A zip over this cannot be sent with the request: it goes by way of S3.
MAX_DIRECT = 50 * 1024 * 1024
LEVEL = 9
# Zip files know no earlier time; Python's unchecked-hash .pyc files do not look at it.
EPOCH = (1980, 1, 1, 0, 0, 0)


def files_below(root: Path) -> list[Path]:
    """All files and links below a folder, as paths relative to it, in the order in which they are stored."""
    found = []
    for folder, folders, names in os.walk(root):
        links = [name for name in folders if os.path.islink(os.path.join(folder, name))]
        found += [Path(folder, name) for name in [*names, *links]]
    return sorted((path.relative_to(root) for path in found), key=lambda path: path.as_posix())


def remove_empty_folders(root: Path) -> None:
    """Removes folders in which no file is left."""
    for folder, _, _ in os.walk(root, topdown=False):
        if Path(folder) != root and not os.listdir(folder):
            os.rmdir(folder)


def unpacked_size(root: Path) -> int:
    """Bytes of all files below a folder."""
    return sum((root / path).lstat().st_size for path in files_below(root))


def check_size(size: int, what: str) -> None:
    """Refuses what Lambda would refuse.

    Args:
        size: bytes, unpacked.
        what: names it in the message.

    Raises:
        TooLarge: over 250 MB.
    """
    if size > MAX_UNPACKED:
        raise TooLarge(
            f"{what} has {size:,} bytes unpacked; Lambda takes at most {MAX_UNPACKED:,} for a function and all its "
            "layers: leave something out, or use a container image (10 GB)"
        )


def write_zip(root: Path, out: Path) -> None:
    """Packs a folder: sorted names, one time, permissions reduced to executable or not, links as links.

    Args:
        root: the folder that becomes the root of the zip.
        out: the zip; replaced when it exists.
    """
    with contextlib.ExitStack() as stack:
        with undisturbed():
            descriptor, name = tempfile.mkstemp(prefix=f".{out.name}.", suffix=".partial", dir=out.parent)
            stack.callback(Path(name).unlink, missing_ok=True)
        with open(descriptor, "wb") as file, zipfile.ZipFile(file, "w") as packed:
            for path in files_below(root):
                source = root / path
                info = zipfile.ZipInfo(path.as_posix(), EPOCH)
                info.compress_type = zipfile.ZIP_DEFLATED
                info.create_system = 3  # Unix: else the permissions are not read
                if source.is_symlink():
                    info.external_attr = (stat.S_IFLNK | 0o777) << 16
                    packed.writestr(info, os.readlink(source))
                    continue
                mode = 0o755 if source.stat().st_mode & stat.S_IXUSR else 0o644
                info.external_attr = (stat.S_IFREG | mode) << 16
                packed.writestr(info, source.read_bytes(), compresslevel=LEVEL)
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(name, 0o666 & ~umask)
        os.replace(name, out)
