"""`make diag`: the technician's check-up of a column on duty, over its serial console.

`interview` asks, `board_checks` and `network_checks` judge what was answered, `by_hand` is what only a person at the
column can do, `table` shows it. What is said to people is in words/*.json, a file for each language.
"""
