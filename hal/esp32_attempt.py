"""What a network's driver is asked for: it raises RuntimeError for errors that have no text."""


def attempt(step, *arguments):
    """Whether the driver did it."""
    try:
        step(*arguments)
        return True
    except (OSError, RuntimeError) as error:
        print("link: %s" % error)
        return False


def switch_on(nic):
    if not attempt(nic.active, True):
        raise OSError("the interface does not start")
