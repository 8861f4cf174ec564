"""The simulator: virtual columns, a virtual street, brokers and a control centre."""
