"""What a column talks to: brokers, a faulty network, certificates, a test centre, stand-ins for cameras and clocks."""
