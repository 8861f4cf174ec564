"""The register's tables of the columns' upkeep. Times are integer milliseconds since the epoch, UTC."""

TABLES = """
    CREATE TABLE proof ( -- when each link of a column's chain was last proven, and by what
        device_id TEXT NOT NULL, link TEXT NOT NULL, at_ms INTEGER NOT NULL, how TEXT NOT NULL,
        PRIMARY KEY (device_id, link)
    ) STRICT;

    CREATE TABLE first_session ( -- what the roster lacks: when a column first came online
        device_id TEXT PRIMARY KEY, at_ms INTEGER NOT NULL, uid TEXT NOT NULL
    ) STRICT;
    INSERT INTO first_session SELECT device_id, heard_ms, '' FROM column WHERE heard_ms IS NOT NULL AND info != '{}';

    CREATE TABLE span ( -- each holds until the column's next one: no minute is without a state
        n INTEGER PRIMARY KEY, device_id TEXT NOT NULL, from_ms INTEGER NOT NULL,
        state TEXT NOT NULL, cause TEXT NOT NULL, loss TEXT NOT NULL, -- spans of one loss have one name
        why TEXT NOT NULL, by TEXT NOT NULL -- who gave the cause; "": the desk
    ) STRICT;
    CREATE UNIQUE INDEX span_device ON span (device_id, from_ms);

    CREATE TABLE correction ( -- every change of a span's cause, by a person or by later evidence
        n INTEGER PRIMARY KEY, device_id TEXT NOT NULL, from_ms INTEGER NOT NULL, at_ms INTEGER NOT NULL,
        was TEXT NOT NULL, cause TEXT NOT NULL, by TEXT NOT NULL, reason TEXT NOT NULL
    ) STRICT;

    CREATE TABLE work_order (
        n INTEGER PRIMARY KEY, device_id TEXT NOT NULL, cause TEXT NOT NULL, what TEXT NOT NULL,
        who TEXT NOT NULL, maintenance INTEGER NOT NULL, opened_ms INTEGER NOT NULL, opened_by TEXT NOT NULL,
        down_ms INTEGER, -- since when the column was down
        until_ms INTEGER, -- promised
        repaired_ms INTEGER, -- the fault was gone
        closed_ms INTEGER, closed_by TEXT NOT NULL DEFAULT '' -- a drill passed
    ) STRICT;
    CREATE INDEX work_order_open ON work_order (device_id, closed_ms);
"""
