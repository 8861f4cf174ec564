"""A Chromium without a window, for the tests of the pages: from PATH, else Debian's package unpacked without root.

A browser starts itself again for each of its processes, so it cannot run through a loader unpacked beside it:
it comes from the machine's own suite and runs on the machine's own libc, with the other libraries unpacked beside it.
`make tools` fetches it (some 100 MB); nothing else of the project needs it.
"""

import re
import shutil
import subprocess
from pathlib import Path

from tools import debian

NAMES = ("chromium-headless-shell", "chromium", "google-chrome")
PACKAGE = "chromium-headless-shell"
ALSO = ("chromium-common", "fonts-dejavu-core", "zlib1g")
# The machine's own libc, and nothing for drawing on a graphics card.
WITHOUT = ("libc6", "libllvm", "libz3", "libgl1-mesa-dri", "libicu", "libxml2", "libx11-data")
OLDEST = 120
PROBE_TIMEOUT_S = 60
FLAGS = (
    "--headless",
    "--no-sandbox",  # it needs root, or a kernel that lets everybody make namespaces; it sees only our own pages
    "--disable-gpu",
    "--disable-dev-shm-usage",  # a container's /dev/shm is too small
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
)
PROBE = "data:text/html,<script>document.write('chromium ' + 6 * 7)</script>"
LAUNCHER = """\
#!/bin/sh
# The browser unpacked here, with the libraries and fonts unpacked beside it.
here=$(dirname "$(readlink -f "$0")")
export LD_LIBRARY_PATH="{libraries}"
export FONTCONFIG_FILE="$here/fonts.conf"
exec "$here/usr/lib/chromium/chromium-headless-shell" "$@"
"""
FONTS = """\
<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig>
  <dir prefix="relative">usr/share/fonts</dir>
  <cachedir prefix="xdg">fontconfig</cachedir>
  <alias><family>sans-serif</family><prefer><family>DejaVu Sans</family></prefer></alias>
  <alias><family>system-ui</family><prefer><family>DejaVu Sans</family></prefer></alias>
  <alias><family>serif</family><prefer><family>DejaVu Serif</family></prefer></alias>
  <alias><family>monospace</family><prefer><family>DejaVu Sans Mono</family></prefer></alias>
</fontconfig>
"""


def find(tools: Path) -> str:
    """The program to start, with FLAGS; unpacked into `tools` if PATH has none that runs. The caller keeps others
    out. Raises DebianError."""
    for name in NAMES:
        if (program := shutil.which(name)) and version(program) is not None:
            return program
    root = debian.unpack(
        PACKAGE, "*", debian.architecture(64), tools, suite=debian.own_suite(), also=ALSO, without=WITHOUT
    )
    program = _launcher(root)
    if version(program) is None:
        raise debian.DebianError(f"the package unpacked in {root} does not run here: {_output(program)}")
    return program


def version(program: str) -> str | None:
    """What it calls its version, if it is new enough and shows a page; else None."""
    found = re.search(r"\d+(?:\.\d+)+", _output(program, "--version"))
    if found is None or int(found[0].split(".")[0]) < OLDEST:
        return None
    return found[0] if "chromium 42" in _output(program) else None


def _output(program: str, *arguments: str) -> str:
    """What it prints when asked, by default the probe's page; why not, if it does not run."""
    command = [program, *(arguments or (*FLAGS, "--dump-dom", PROBE))]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PROBE_TIMEOUT_S,
                              stdin=subprocess.DEVNULL, check=False)  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return done.stdout or done.stderr


def _launcher(root: Path) -> str:
    """Write what starts the browser in `root`: one path, whoever calls it from wherever."""
    folders = [
        f"$here/{folder.relative_to(root)}"
        for pattern in ("lib/*-linux-*", "usr/lib/*-linux-*", "usr/lib/*-linux-*/pulseaudio")
        for folder in sorted(root.glob(pattern))
    ]
    launcher = root / "run"
    _write(root / "fonts.conf", FONTS)
    _write(launcher, LAUNCHER.format(libraries=":".join(folders)))
    return str(launcher)


def _write(path: Path, text: str) -> None:
    """Make the file executable and whole, unless it is so already: it may be running."""
    if path.is_file() and path.read_text() == text:
        return
    part = path.with_name(path.name + ".part")
    part.write_text(text)
    part.chmod(0o755)
    part.replace(path)
