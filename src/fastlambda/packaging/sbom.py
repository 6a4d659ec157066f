"""What is in a layer, as a CycloneDX document: the packages with their versions, for scanners of known weaknesses.

Promises: the same packages give the same bytes, so no time and no random number is in it.
Source: CycloneDX 1.6, JSON; purl-spec, type pypi.
"""

import json
import re
from email.parser import HeaderParser
from pathlib import Path
from typing import Any

NAME = "fastlambda-layer.cdx.json"


def normalized(name: str) -> str:
    """A project's name as indexes compare it. PyPA, "Names and normalization"."""
    return re.sub(r"[-_.]+", "-", name).lower()


def component(name: str, version: str, **more: Any) -> dict[str, Any]:
    """A package as a component of a document."""
    purl = f"pkg:pypi/{normalized(name)}@{version}"
    return {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl, **more}


def document(of: dict[str, Any], components: list[dict[str, Any]], tools: list[dict[str, Any]]) -> bytes:
    """A whole document.

    Args:
        of: the component that it describes.
        components: what is in that.
        tools: what made it.
    """
    refs = sorted(one["bom-ref"] for one in components)
    made = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"tools": {"components": tools}, "component": of},
        "components": sorted(components, key=lambda one: str(one["bom-ref"])),
        "dependencies": [{"ref": of["bom-ref"], "dependsOn": refs}, *({"ref": ref} for ref in refs)],
    }
    return json.dumps(made, indent=1).encode() + b"\n"


def packages(folder: Path) -> list[dict[str, Any]]:
    """A component for each package whose metadata is in a folder."""
    found = []
    for path in sorted(folder.glob("*.dist-info/METADATA")):
        metadata = HeaderParser().parsestr(path.read_text("utf-8", "replace"))
        more: dict[str, Any] = {}
        if metadata["License-Expression"]:
            more["licenses"] = [{"expression": metadata["License-Expression"]}]
        found.append(component(metadata["Name"], metadata["Version"], **more))
    return found


def put(root: Path, folders: list[Path], version: str) -> None:
    """Writes the document of a layer into its root.

    Args:
        root: of the layer.
        folders: where its packages are, one for each Python.
        version: of fastlambda.
    """
    layer = {"type": "application", "bom-ref": "fastlambda-layer", "name": "fastlambda-layer", "version": version}
    found = {one["bom-ref"]: one for folder in folders for one in packages(folder)}
    tool = {"type": "application", "name": "fastlambda-local", "version": version}
    (root / NAME).write_bytes(document(layer, list(found.values()), [tool]))
