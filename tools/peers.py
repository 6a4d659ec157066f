"""Brings AWS's own Runtime API server to .cache/, for tests and the benchmark.

  python3 dev.py peers        fetch it and print its path

The server is one file of the package aws-sam-cli; the package itself is not installed. Its version and the file's
digest are pinned here.
"""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

CACHE = Path(__file__).resolve().parent.parent / ".cache"
PACKAGE = "aws-sam-cli==1.170.0"
DIGESTS = {
    "x86_64": "6b1e686e62ab2baf5759c412c4864276ef2a88b094fca53ec070637ccba9b9a5",
    "arm64": "ec2e5d09633d853834c008b1ef264bf834b258a94d551d2b2074966494b39a21",
}


def aws_server() -> Path:
    """Path of AWS's Runtime API server for this machine; downloads it when it is not in the cache.

    Raises:
        RuntimeError: there is none for this machine, or its digest is another than the pinned one.
    """
    arch = {"x86_64": "x86_64", "aarch64": "arm64", "arm64": "arm64"}.get(platform.machine())
    if arch is None or sys.platform != "linux":
        raise RuntimeError(f"AWS's Runtime API server does not run on {sys.platform} {platform.machine()}")
    path = CACHE / f"aws-lambda-rie-{arch}"
    if not path.exists():
        CACHE.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE) as folder:
            command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--dest", folder, PACKAGE]
            subprocess.run(command, check=True)
            (wheel,) = Path(folder).glob("*.whl")
            fresh = Path(folder) / path.name
            with zipfile.ZipFile(wheel) as archive:
                fresh.write_bytes(archive.read(f"samcli/local/rapid/{path.name}"))
            digest = hashlib.sha256(fresh.read_bytes()).hexdigest()
            if digest != DIGESTS[arch]:
                raise RuntimeError(f"{path.name} of {PACKAGE} has digest {digest}, not the pinned one")
            fresh.chmod(0o755)
            os.replace(fresh, path)
    return path


if __name__ == "__main__":
    print(aws_server())
