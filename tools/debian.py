"""Debian packages without root and without installing them: fetched by apt, unpacked into a folder.

apt runs on a private configuration made from the machine's own sources (mirror and keys), with only the
suite and the architectures changed; it checks signatures and hashes as always. A program so unpacked runs
through the loader and libraries unpacked beside it, so that it does not matter how old the machine's are.
(Not so the browser, which starts itself again: see tools/chromium.py.)
"""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Container, Iterator
from pathlib import Path

SUITE = "trixie"
ARCH_32BIT = {"amd64": "i386", "arm64": "armhf"}
SOURCES = Path("/etc/apt")
APT_TIMEOUT_S = 600
ERROR_TAIL = 800

Stanza = dict[str, str]


class DebianError(RuntimeError):
    """apt is missing, has no Debian source, or failed; the message says what to do."""


def architecture(bits: int) -> str:
    """Debian's name of this machine's architecture, or of its 32-bit sister. Raises DebianError."""
    native = _run(["dpkg", "--print-architecture"]).strip()
    if bits == 64:
        return native
    if native not in ARCH_32BIT:
        raise DebianError(f"no 32-bit architecture is known beside {native}; use an amd64 machine")
    return ARCH_32BIT[native]


def own_suite() -> str:
    """The suite that this machine's programs come from. Raises DebianError."""
    return next(s for s in mirror()["suites"].split() if _is_suite(s))


def unpack(
    package: str,
    version: str,
    arch: str,
    tools: Path,
    *,
    suite: str = SUITE,
    beside: str = "",
    also: Container[str] = (),
    without: tuple[str, ...] = (),
    more: tuple[str, ...] = (),
    only: Container[str] | None = None,
) -> Path:
    """Fetch `package` (its version a pattern such as "1.2*") with its libraries; return its folder.

    `beside`: the end of the folder's name, where another version of the package lies beside the usual one.
    `also`: names of packages that it depends on and that are no libraries. `without`: how the names of
    libraries begin that it does not need. `more`: packages to lie in the same folder. `only`: the names of all
    that are wanted, whatever else would be.
    Unpacks beside and renames, so the folder is whole or absent. The caller keeps others out.
    Raises DebianError.
    """
    target = tools / "debian" / f"{package}-{arch}{beside}"
    if target.is_dir():
        return target
    apt = _configure(tools / "apt", arch, suite)
    _run(["apt-get", *apt, "update"])
    plan = _run(["apt-get", *apt, "install", "--simulate", "--no-install-recommends",
                 f"{package}:{arch}={version}", *(f"{name}:{arch}" for name in more)])  # fmt: skip
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        debs, root = Path(scratch, "debs"), Path(scratch, "root")
        debs.mkdir()
        wanted = _wanted(plan, package, arch, also, without, only)
        _run(["apt-get", *apt, "download", *wanted], cwd=debs)
        for deb in sorted(debs.glob("*.deb")):
            _run(["dpkg-deb", "--extract", str(deb), str(root)])
        _link_libraries(root)
        root.rename(target)
    return target


def _link_libraries(root: Path) -> None:
    """The short names of libraries that no package ships: an installation makes them."""
    ldconfig = shutil.which("ldconfig", path=os.environ.get("PATH", os.defpath) + ":/sbin:/usr/sbin")
    if ldconfig is not None:
        _run([ldconfig, "-n", *(str(path) for path in sorted(root.glob("usr/lib/*-linux-*")))])


def command(root: Path, program: str) -> list[str]:
    """The argv that runs `root`/`program` with the loader and libraries of `root`. Raises DebianError."""
    loaders = sorted(p for p in root.glob("usr/lib*/ld-linux*.so.*") if p.is_file())
    if not loaders or not (root / program).is_file():
        raise DebianError(f"{root} lacks its loader or {program}: delete that folder, run make tools again")
    libraries = ":".join(str(p) for p in sorted(root.glob("usr/lib/*-linux-*")))
    return [str(loaders[0]), "--library-path", libraries, str(root / program)]


def sources(folder: Path = SOURCES) -> Iterator[Stanza]:
    """Every enabled entry of apt's source lists, as deb822 fields with lower-case names.

    `apt-get indextargets` would parse them for us, but leaves out Signed-By, and the key may stand nowhere else.
    """
    parts = folder / "sources.list.d"
    for path in [folder / "sources.list", *sorted(parts.glob("*.list"))]:
        if path.is_file():
            yield from filter(None, map(_one_line, path.read_text().splitlines()))
    for path in sorted(parts.glob("*.sources")):
        for block in re.split(r"\n\s*\n", path.read_text()):
            stanza = _deb822(block)
            if "deb" in stanza.get("types", "").split() and stanza.get("enabled", "yes") != "no":
                yield stanza


def mirror(folder: Path = SOURCES) -> Stanza:
    """The entry of Debian's main archive: component main, a suite that is no -updates or -security.

    Raises DebianError when there is none.
    """
    for stanza in sources(folder):
        if any(map(_is_suite, stanza.get("suites", "").split())) and "main" in stanza.get("components", "").split():
            return stanza
    raise DebianError(f"no Debian source with component main in {folder}")


def _is_suite(name: str) -> bool:
    """Not one of -updates, -security or -backports."""
    return re.fullmatch(r"[a-z]+", name) is not None


def _one_line(line: str) -> Stanza | None:
    """A line `deb [key=value ...] URI suite component ...`, or None when it is something else."""
    match = re.match(r"deb\s+(?:\[([^]]*)\]\s+)?(\S+)\s+(\S+)\s+([^#]+)", line.strip())
    if match is None:
        return None
    options, uri, suite, components = match.groups()
    stanza = dict(item.split("=", 1) for item in (options or "").lower().split() if "=" in item)
    signed_by = re.search(r"signed-by=(\S+)", options or "", re.IGNORECASE)
    if signed_by:
        stanza["signed-by"] = signed_by.group(1)
    return stanza | {"types": "deb", "uris": uri, "suites": suite, "components": components.strip()}


def _deb822(block: str) -> Stanza:
    """The fields of one block; continuation lines (an inline key, say) stay as they are."""
    lines = [line for line in block.splitlines() if line and not line.startswith("#")]
    fields = re.findall(r"^([\w-]+):[ \t]*(.*(?:\n[ \t].*)*)", "\n".join(lines), re.MULTILINE)
    return {name.lower(): value for name, value in fields}


def _configure(folder: Path, arch: str, suite: str) -> list[str]:
    """Write the private configuration into `folder`; return apt-get's options that select it."""
    if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
        raise DebianError("this machine has no apt-get")
    for name in ("lists/partial", "archives/partial"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    native = architecture(64)
    stanza = {k: v for k, v in mirror().items() if k in ("uris", "signed-by", "trusted")}
    stanza |= {"types": "deb", "suites": suite, "components": "main", "architectures": f"{native} {arch}"}
    (folder / "debian.sources").write_text("".join(f"{k}: {v}\n" for k, v in stanza.items()))
    (folder / "status").touch()
    settings = {
        "Dir::State": folder, "Dir::State::lists": folder / "lists", "Dir::State::status": folder / "status",
        "Dir::Cache": folder, "Dir::Cache::archives": folder / "archives",
        "Dir::Etc::sourcelist": folder / "debian.sources", "Dir::Etc::sourceparts": "/dev/null",
        "Dir::Etc::preferences": "/dev/null", "Dir::Etc::preferencesparts": "/dev/null",
        "APT::Architecture": native, "Acquire::Languages": "none",
        "Acquire::Retries": 2, "Acquire::http::Timeout": 30, "Acquire::https::Timeout": 30,
    }  # fmt: skip
    if os.geteuid() == 0:
        settings["APT::Sandbox::User"] = "root"  # the user _apt could not write below this folder
    # The machine's hooks after an update (they empty its package cache, say) are none of our business.
    lines = ["#clear APT::Update;", "#clear APT::Architectures;"]
    lines += [f'APT::Architectures {{"{native}"; "{arch}";}};']
    lines += [f'{key} "{value}";' for key, value in settings.items()]
    config = folder / "apt.conf"
    config.write_text("\n".join(lines) + "\n")
    return [f"--config-file={config}", "--quiet"]


def _wanted(
    plan: str,
    package: str,
    arch: str,
    also: Container[str] = (),
    without: tuple[str, ...] = (),
    only: Container[str] | None = None,
) -> list[str]:
    """From apt's plan: the package and its libraries (what else it names serves an installation)."""
    found = re.findall(r"^Inst ([^\s:]+)\S* \((\S+) .*\[(\S+)\]", plan, re.MULTILINE)
    if only is not None:
        return [f"{name}:{its_arch}={version}" for name, version, its_arch in found if name in only]
    return [
        f"{name}:{its_arch}={version}" for name, version, its_arch in found
        if name == package or name in also
        or its_arch == arch and name.startswith("lib") and not name.startswith(without)
    ]  # fmt: skip


def _run(argv: list[str], cwd: Path | None = None) -> str:
    env = os.environ | {"LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"}
    try:
        done = subprocess.run(argv, cwd=cwd, env=env, capture_output=True, text=True, timeout=APT_TIMEOUT_S,
                              stdin=subprocess.DEVNULL, check=False)  # fmt: skip
    except FileNotFoundError:
        raise DebianError(f"this machine has no {argv[0]}") from None
    except subprocess.TimeoutExpired:
        raise DebianError(f"{argv[0]} took longer than {APT_TIMEOUT_S} s: is the network up?") from None
    if done.returncode:
        raise DebianError(f"{' '.join(argv)} failed: {done.stderr.strip()[-ERROR_TAIL:]}")
    return done.stdout
