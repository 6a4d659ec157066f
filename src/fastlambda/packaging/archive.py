"""Writes a zip file that depends on nothing but its contents.

Owns names, times and permissions inside the zip, and Lambda's size limits.  Promises: the same files give the same
bytes, on every machine.  Knows nothing of Python packages.
Source: AWS Lambda quotas, "Function configuration, deployment, and execution".
"""

import os
import stat
import zipfile
from pathlib import Path

# A function's code and all its layers, unpacked.
MAX_UNPACKED = 250 * 1024 * 1024
# A zip over this cannot be sent with the request: it goes by way of S3.
MAX_DIRECT = 50 * 1024 * 1024
# Zip files know no earlier time; Python's unchecked-hash .pyc files do not look at it.
EPOCH = (1980, 1, 1, 0, 0, 0)


class TooLarge(ValueError):
    """Lambda would refuse the contents: they are over 250 MB unpacked."""


def files_below(root: Path) -> list[Path]:
    """All files below a folder, as paths relative to it, in the order in which they are stored."""
    found = [Path(folder, name) for folder, _, names in os.walk(root, followlinks=True) for name in names]
    return sorted((path.relative_to(root) for path in found), key=lambda path: path.as_posix())


def unpacked_size(root: Path) -> int:
    """Bytes of all files below a folder."""
    return sum((root / path).stat().st_size for path in files_below(root))


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
    """Packs a folder: sorted names, one time, permissions reduced to executable or not.

    Args:
        root: the folder that becomes the root of the zip.
        out: the zip; replaced when it exists.
    """
    partial = out.with_name(out.name + ".partial")
    with zipfile.ZipFile(partial, "w") as packed:
        for path in files_below(root):
            source = root / path
            mode = 0o755 if source.stat().st_mode & stat.S_IXUSR else 0o644
            info = zipfile.ZipInfo(path.as_posix(), EPOCH)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.create_system = 3  # Unix: else the permissions are not read
            info.external_attr = (stat.S_IFREG | mode) << 16
            packed.writestr(info, source.read_bytes(), compresslevel=9)
    partial.replace(out)
