"""Fetches one source archive exactly as pip would: `python -I tools/pip_archive.py NAME VERSION FILE`.

`pip download` itself will not do: it asks every archive for its setup.py, and MicroPython's libraries have none. So
this is pip's own command with another ending, and whatever pip is set up with counts here too, wherever that was said:
index, further indexes, folders of archives, proxy, passwords, certificates. It uses internals of pip, which have had
these names since pip 20; requirements/pip.txt has the one that .venv gets.
"""

import sys
from pathlib import Path
from typing import Any

from pip._internal.commands.download import DownloadCommand
from pip._internal.models.format_control import FormatControl
from pip._internal.utils.misc import redact_auth_from_url
from pip._vendor.requests import RequestException

CHUNK_BYTES = 65536
# Only then does pip say why an index did not answer.
LOUD = ("--verbose", "--verbose", "--no-input", "--disable-pip-version-check")


class ArchiveCommand(DownloadCommand):
    """`pip download`, but the archive is taken as it is."""

    def run(self, options: Any, args: list[str]) -> int:
        """`args`: name, version, file to write. Returns the exit status."""
        name, version, target = args
        options.format_control = FormatControl({":all:"}, set())  # source archives only
        session = self.get_default_session(options)
        finder = self._build_package_finder(options, session)
        found = [each.link for each in finder.find_all_candidates(name) if str(each.version) == version]
        if not found:
            places = map(redact_auth_from_url, [*finder.index_urls, *finder.find_links])
            print(f"{name} {version} is in none of: {' '.join(places) or 'no index'}", file=sys.stderr)
            return 1
        try:
            with session.get(found[0].url_without_fragment, stream=True) as answer:
                answer.raise_for_status()
                with Path(target).open("wb") as file:
                    file.writelines(answer.iter_content(CHUNK_BYTES))
        except (RequestException, OSError) as error:
            print(f"{type(error).__name__}: {error}", file=sys.stderr)
            return 1
        return 0


if __name__ == "__main__":
    sys.exit(ArchiveCommand("download", __doc__.partition("\n")[0]).main([*LOUD, *sys.argv[1:]]))
