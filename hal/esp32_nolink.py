"""The link of a board that runs without a usable configuration, or whose network could not be made."""


class NoLink:
    failure = None

    def __init__(self, failure):
        self.failure = failure

    def start(self):
        pass

    def restart(self):
        pass

    def is_up(self):
        return False

    def describe(self):
        return {"kind": "other", "rssi_dbm": None, "network": None, "status": None}
