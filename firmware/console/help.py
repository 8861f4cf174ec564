"""The console's `help`."""

COMMANDS = (
    ("status", "everything the column knows about itself"),
    ("files", "what is on flash: each file's hash"),
    ("net", "addresses for the names it needs, gateway"),
    ("certs", "the certificates of its TLS"),
    ("stream", "a look at the stream's endpoints"),
    ("access", "does the broker's access list hold it to its own prefix?"),
    ("logs", "last reset, faults, journal"),
    ("lamp", "the lamp's colours one after the other, flickering; a press ends it"),
    ("button", "10 s of what the contact does; a press is a REAL ALARM: call the centre first"),
    ("test", "a test alarm to the centre and back"),
    ("code", "what a technician's code is for; code 12345678: what is locked opens; code end: it closes"),
    ("help", "this list"),
)


def run(board, column):
    for command, text in COMMANDS:
        yield {"commands": [{"command": command, "does": text}]}
