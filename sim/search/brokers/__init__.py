"""Columns in real time against real brokers, both spoiled by faults."""
