"""A fleet's table in a folder of a test, and what provisioning makes of it."""

from pathlib import Path

from field import provision

HEADER = "device_id,region,address,lat,lon,uncertainty_m,site,height_m,stream,link,pins"
GOOD = "one,nko,Somewhere 1,54.8753,69.1628,5,public,1.0,rtsp://cameras.example/one,wifi,esp32"
TOML = '[broker]\nhost = "127.0.0.1"\nport = 8883\n[wifi]\nssid = "sos"\nopen = true\n'


class Tables:
    """`write(lines)` makes fleet.csv with fleet.toml beside it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __call__(self, *lines: str, toml: str = TOML, encoding: str = "utf-8") -> Path:
        (self._folder / "fleet.toml").write_text(toml, "utf-8")
        file = self._folder / "fleet.csv"
        file.write_text("\n".join(lines) + "\n", encoding)
        return file


def make(file: Path, out: Path) -> int:
    return provision.main([str(file), "--out", str(out)])


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
