"""Where the configuration's files lie, and what their seal looks like; see config_files.py."""

CONFIG_FILE = "config.json"
SECRETS_FILE = "secrets.json"
WIPE_FILE = "wipe.rec"  # the keys are to be removed, or are: see wiped.py
SEAL = b'"crc":"'  # followed by 8 hex digits and the end of the object


def path(folder: str, name: str) -> str:
    """`folder`: of the firmware in force, "" = root. The configuration lies beside it, so that both change at once."""
    return folder + "/" + name if folder else name
