"""The tools for real devices, each by its name."""

from field import (
    authorities,
    bundle,
    code,
    console,
    flash,
    image,
    logs,
    provision,
    release,
    renewal,
    revocation,
    shell,
    watch,
)
from field.accept import command as accept
from field.diag import command as diag
from field.telling import Main

MAINS: dict[str, Main] = {
    "accept": accept.main, "authorities": authorities.main, "bundle": bundle.main, "code": code.main,
    "console": console.main, "diag": diag.main, "flash": flash.main, "image": image.main, "logs": logs.main,
    "provision": provision.main, "release": release.main, "renewal": renewal.main, "revocation": revocation.main,
    "shell": shell.main, "watch": watch.main,
}  # fmt: skip
