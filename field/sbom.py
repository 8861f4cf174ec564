"""What a release and a desk are made of, as CycloneDX lists: files and third-party parts with versions and hashes.

Reproducible: no time, and a serial number made of the content.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Mapping
from pathlib import Path

from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

from common.home import LOCK, ROOT

REQUIREMENTS = {"desk": ROOT / "requirements" / "live.txt"}  # with cameras
_PINNED = re.compile(r"^([A-Za-z0-9_.-]+)==([^\s;\\]+)", re.M)
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")
_NAMESPACE = uuid.UUID("5b3c2d54-96f0-5a8e-9d2c-3f8f0f7a5e11")  # of these lists' serial numbers


def firmware(version: str, files: Mapping[str, bytes], digests: Mapping[str, str], micropython: str) -> str:
    """`files` of a release, `digests` of them; the oldest MicroPython that it runs on."""
    parts = [
        Component(
            type=ComponentType.FILE, name=name, bom_ref=f"file:{name}", hashes=[_sha256(digests[name])],
        )
        for name in sorted(files)
    ]  # fmt: skip
    for entry in json.loads(LOCK.read_text("utf-8")):
        url = PackageURL("pypi", name=entry["name"], version=entry["version"])
        parts.append(
            Component(
                type=ComponentType.LIBRARY,
                name=entry["name"],
                version=entry["version"],
                purl=url,
                bom_ref=str(url),
                hashes=[_sha256(entry["sha256"])],
            )  # fmt: skip
        )
    runtime = Component(
        type=ComponentType.PLATFORM, name="micropython", version=f">={micropython}", bom_ref="micropython",
        description="not part of the release: the image that a board was flashed with",
    )  # fmt: skip
    return _written("sos-column-firmware", version, [*parts, runtime], ComponentType.FIRMWARE)


def desk(version: str, pinned: Path = REQUIREMENTS["desk"]) -> str:
    """Everything that `make needs-live` installs."""
    text = pinned.read_text("utf-8")
    starts = [*_PINNED.finditer(text)]
    parts = []
    for found, after in zip(starts, [*starts[1:], None], strict=True):
        name, release = found[1], found[2]
        url = PackageURL("pypi", name=name, version=release)
        hashes = [_sha256(digest) for digest in _HASH.findall(text[found.end() : after.start() if after else None])]
        kind = ComponentType.LIBRARY
        parts.append(Component(type=kind, name=name, version=release, purl=url, bom_ref=str(url), hashes=hashes))
    return _written("sos-desk", version, parts, ComponentType.APPLICATION)


def _sha256(digest: str) -> HashType:
    return HashType(alg=HashAlgorithm.SHA_256, content=digest)


def _written(name: str, version: str, parts: list[Component], kind: ComponentType) -> str:
    bom = Bom(components=parts)
    bom.metadata.component = root = Component(type=kind, name=name, version=version, bom_ref=name)
    bom.register_dependency(root, parts)
    lines = sorted(f"{part.name} {part.version} {[item.content for item in part.hashes]}" for part in parts)
    bom.serial_number = uuid.uuid5(_NAMESPACE, "\n".join([name, version, *lines]))
    document = json.loads(JsonV1Dot6(bom).output_as_string())
    document["metadata"].pop("timestamp", None)
    return json.dumps(document, indent=1, sort_keys=True) + "\n"
