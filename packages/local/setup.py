"""Where the sources are, and the one version; all other metadata is in pyproject.toml.

In a checkout the sources are those of the runtime, two folders up; the sdist has its part of them beside this file.
"""

import runpy
import sys
from pathlib import Path

from setuptools import setup

SOURCES = next(place for place in ("src", "../../src") if Path(place, "fastlambda/_version.py").exists())
VERSION = runpy.run_path(f"{SOURCES}/fastlambda/_version.py")["__version__"]
PACKAGES = ["fastlambda.local", "fastlambda.local.commands", "fastlambda.packaging", "fastlambda.testing"]
if "editable_wheel" in sys.argv:
    # Without packages an editable install is one line in a .pth file, the same as the runtime's.  With packages below a
    # folder of another distribution it would be an import hook, which every start of that Python loads.
    PACKAGES = []

setup(version=VERSION, install_requires=[f"fastlambda=={VERSION}"], package_dir={"": SOURCES}, packages=PACKAGES)
