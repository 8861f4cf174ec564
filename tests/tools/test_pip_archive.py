"""Device libraries come from wherever pip is told to look, and with the certificates that pip is told to trust."""

import hashlib
import http.server
import io
import json
import os
import ssl
import tarfile
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from sim.servers.authority import Authority
from tools import toolbox

LIBRARY = b"class MQTTClient: ...\n"
ARCHIVE = "thing-1.0.tar.gz"
HOST = "127.0.0.1"
Configure = Callable[..., None]


class Site(http.server.ThreadingHTTPServer):
    """Serves the folder; `asked` are the paths, or whole URLs when it is used as a proxy."""

    def __init__(self, folder: Path, context: ssl.SSLContext | None = None) -> None:
        self.asked: list[str] = []
        site = self

        class Handler(http.server.SimpleHTTPRequestHandler):
            def do_GET(self) -> None:
                site.asked.append(self.path)
                self.path = "/" + self.path.partition("://")[2].partition("/")[2] if "://" in self.path else self.path
                super().do_GET()

            def log_message(self, format: str, *args: object) -> None:
                pass

        super().__init__((HOST, 0), partial(Handler, directory=str(folder)))
        if context is not None:
            self.socket = context.wrap_socket(self.socket, server_side=True)
        threading.Thread(target=self.serve_forever, daemon=True).start()


@pytest.fixture
def index(tmp_path: Path) -> Path:
    """A folder that is a package index, with one source archive of one library."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as tar:
        member = tarfile.TarInfo("thing-1.0/thing/simple.py")
        member.size = len(LIBRARY)
        tar.addfile(member, io.BytesIO(LIBRARY))
    folder = tmp_path / "index"
    (folder / "simple" / "thing").mkdir(parents=True)
    (folder / ARCHIVE).write_bytes(data.getvalue())
    (folder / "simple" / "thing" / "index.html").write_text(f'<!doctype html><a href="../../{ARCHIVE}">{ARCHIVE}</a>')
    return folder


@pytest.fixture
def configure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Configure:
    """Sets pip up by its configuration file and by nothing else."""
    for name in os.environ:
        if name.startswith(("PIP_", "XDG_")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))

    def write(**settings: str) -> None:
        # What this machine's own files say of other indexes is of no interest.
        settings = {"extra-index-url": "", "find-links": "", "retries": "0"} | {
            name.replace("_", "-"): value for name, value in settings.items()}  # fmt: skip
        file = tmp_path / "home" / ".config" / "pip" / "pip.conf"
        file.parent.mkdir(parents=True)
        file.write_text("[global]\n" + "".join(f"{name} = {value}\n" for name, value in settings.items()))

    return write


@pytest.fixture
def fetch(index: Path, tmp_path: Path) -> Callable[[], bytes]:
    """Fetches the library; its content."""
    lock = tmp_path / "lock.json"
    sha256 = hashlib.sha256((index / ARCHIVE).read_bytes()).hexdigest()
    entry = {"name": "thing", "version": "1.0", "sha256": sha256, "files": ["thing/simple.py"]}
    lock.write_text(json.dumps([entry]))

    def run() -> bytes:
        toolbox.fetch_libraries(tmp_path / "lib", lock)
        return (tmp_path / "lib" / "thing" / "simple.py").read_bytes()

    return run


@pytest.fixture
def private(index: Path, tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """(URL of an index that only a private authority vouches for, that authority's certificate)."""
    identity = Authority(tmp_path / "ca").server((HOST,))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(identity.cert, identity.key)
    with Site(index, context) as site:
        yield f"https://{HOST}:{site.server_address[1]}/simple", identity.ca
        site.shutdown()


def test_an_authority_that_only_pips_file_names_is_trusted(
    private: tuple[str, Path], configure: Configure, fetch: Callable[[], bytes]
) -> None:
    url, ca = private
    configure(index_url=url, cert=str(ca))
    assert fetch() == LIBRARY


def test_an_index_that_nobody_vouches_for_is_refused_with_the_reason(
    private: tuple[str, Path], configure: Configure, fetch: Callable[[], bytes]
) -> None:
    configure(index_url=private[0])
    with pytest.raises(toolbox.ToolMissing, match=r"(?s)thing 1\.0 is not to be had.*Could not fetch.*certificate"):
        fetch()


def test_a_folder_of_archives_will_do(index: Path, configure: Configure, fetch: Callable[[], bytes]) -> None:
    configure(no_index="true", find_links=str(index))
    assert fetch() == LIBRARY


def test_pips_proxy_is_asked(index: Path, configure: Configure, fetch: Callable[[], bytes]) -> None:
    with Site(index) as proxy:
        configure(index_url="http://index.invalid/simple", trusted_host="index.invalid",
                  proxy=f"http://{HOST}:{proxy.server_address[1]}")  # fmt: skip
        assert fetch() == LIBRARY
        proxy.shutdown()
    assert proxy.asked == ["http://index.invalid/simple/thing/", f"http://index.invalid/{ARCHIVE}"]


def test_passwords_of_an_index_are_not_repeated(index: Path, configure: Configure, fetch: Callable[[], bytes]) -> None:
    with Site(index) as site:
        configure(index_url=f"http://anna:sesame@{HOST}:{site.server_address[1]}/nothing")
        with pytest.raises(toolbox.ToolMissing) as raised:
            fetch()
        site.shutdown()
    assert "anna" in str(raised.value) and "sesame" not in str(raised.value)
