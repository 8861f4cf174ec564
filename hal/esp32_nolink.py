"""The link of a board that runs without a usable configuration."""


class NoLink:
    def start(self):
        pass

    def restart(self):
        pass

    def is_up(self):
        return False

    def describe(self):
        return {"kind": "other", "rssi_dbm": None, "network": None, "status": None}
