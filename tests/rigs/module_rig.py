"""What mpy-cross itself makes of a module: the control of common/compiler.py."""

import subprocess

from common.compiler import MPY_CROSS


def crossed(name: str, source: bytes) -> bytes:
    return subprocess.run([MPY_CROSS, "-s", name, "-o", "-", "-"], input=source, capture_output=True, check=True).stdout
