"""What `pip install` of this project brings along: what requirements/ says of everything but development."""

from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

SETS = ("run", "live", "field")
# umqtt.simple is fetched with it; a venv of uv's has none.
PIP = "pip"


class Dependencies(MetadataHookInterface):
    def update(self, metadata: dict[str, Any]) -> None:
        files = [Path(self.root, "requirements", f"{name}.in") for name in SETS]
        lines = {line for file in files for line in file.read_text().splitlines()}
        metadata["dependencies"] = sorted({line for line in lines if line and not line.startswith("#")} | {PIP})
