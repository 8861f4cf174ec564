"""The register's tables."""

from desk.upkeep.tables import TABLES as UPKEEP

# The tables, as the steps that lead to them: `PRAGMA user_version` says how many of them are done. A step that has been
# released is never changed; what is new gets a step of its own. All times are integers, milliseconds since the epoch in
# UTC; documents are JSON.
STEPS = (
    """
    CREATE TABLE incident (
        id TEXT PRIMARY KEY, region TEXT NOT NULL, device_id TEXT NOT NULL,
        status TEXT NOT NULL, site TEXT NOT NULL,
        raised_ms INTEGER, clock TEXT NOT NULL, age_ms INTEGER NOT NULL, -- of the first transmission
        late INTEGER NOT NULL, press INTEGER NOT NULL, transmissions INTEGER NOT NULL, reopened INTEGER NOT NULL,
        state TEXT NOT NULL, "by" TEXT NOT NULL, outcome TEXT NOT NULL, note TEXT NOT NULL DEFAULT '',
        alarm TEXT NOT NULL, -- the latest transmission of the highest press
        received_ms INTEGER NOT NULL, last_ms INTEGER NOT NULL, -- the first and the last transmission here
        registered_ms INTEGER, -- the first commit
        answered_ms INTEGER, -- the first answer left
        accepted_ms INTEGER, accepted_by TEXT, dispatched_ms INTEGER, closed_ms INTEGER,
        unanswered INTEGER NOT NULL DEFAULT 0 -- whether the broker may lack the latest answer
    ) STRICT;
    CREATE INDEX incident_received ON incident (received_ms);
    CREATE INDEX incident_device ON incident (device_id, received_ms);

    CREATE TABLE decision ( -- what the state follows from; also of incidents that have not arrived here yet
        incident_id TEXT NOT NULL, press INTEGER NOT NULL, state TEXT NOT NULL,
        at_ms INTEGER NOT NULL, "by" TEXT NOT NULL, outcome TEXT NOT NULL,
        PRIMARY KEY (incident_id, press, state)
    ) STRICT;

    CREATE TABLE entry ( -- the timeline
        n INTEGER PRIMARY KEY, incident_id TEXT NOT NULL, at_ms INTEGER NOT NULL, kind TEXT NOT NULL,
        "by" TEXT NOT NULL, detail TEXT NOT NULL,
        UNIQUE (incident_id, kind, at_ms, "by") -- another desk repeats what it has said
    ) STRICT;

    CREATE TABLE column (
        device_id TEXT PRIMARY KEY, region TEXT NOT NULL, online INTEGER, boot INTEGER NOT NULL,
        info TEXT NOT NULL, heartbeat TEXT NOT NULL, faults TEXT NOT NULL,
        heard_ms INTEGER, presence TEXT, silent_since_ms INTEGER
    ) STRICT;

    CREATE TABLE presence ( -- without a row: nobody was there to tell
        device_id TEXT NOT NULL, from_ms INTEGER NOT NULL, to_ms INTEGER, kind TEXT NOT NULL
    ) STRICT;
    CREATE INDEX presence_device ON presence (device_id, from_ms);

    CREATE TABLE event (
        n INTEGER PRIMARY KEY, device_id TEXT NOT NULL, at_ms INTEGER NOT NULL, event TEXT NOT NULL,
        detail TEXT NOT NULL
    ) STRICT;
    CREATE INDEX event_device ON event (device_id, n);

    CREATE TABLE violation (
        n INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, topic TEXT NOT NULL, why TEXT NOT NULL
    ) STRICT;

    CREATE TABLE desk (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
    """,
    """
    ALTER TABLE incident ADD COLUMN waiting_opening INTEGER; -- of which opening the next two tell
    ALTER TABLE incident ADD COLUMN waiting_ms INTEGER; -- since when nobody has accepted
    ALTER TABLE incident ADD COLUMN unanswered_s INTEGER NOT NULL DEFAULT 0; -- so long, and everybody was told

    CREATE TABLE rung ( -- steps of the ladder; see desk/escalation.py
        incident_id TEXT NOT NULL, opening INTEGER NOT NULL, step TEXT NOT NULL,
        tell TEXT NOT NULL, after_s INTEGER NOT NULL, state TEXT NOT NULL, desk TEXT NOT NULL, at_ms INTEGER NOT NULL,
        tries INTEGER NOT NULL, unsure INTEGER NOT NULL, why TEXT NOT NULL,
        PRIMARY KEY (incident_id, opening, step)
    ) STRICT;
    CREATE INDEX rung_begun ON rung (incident_id) WHERE state = 'begun';
    -- Calls of before the ladder have been waited for, or forgotten, without it: it begins with those of now.
    INSERT OR REPLACE INTO desk VALUES ('ladder_from_ms', (strftime('%s', 'now') - 600) * 1000);
    """,
    UPKEEP,
    # How well it is proven that a column said so: desk/origin.py.
    "ALTER TABLE incident ADD COLUMN origin TEXT NOT NULL DEFAULT ''",
    """
    CREATE TABLE opening ( -- of picture and sound: see openings.py
        n INTEGER PRIMARY KEY AUTOINCREMENT, at_ms INTEGER NOT NULL, ended_ms INTEGER, -- null: it is open
        ended TEXT NOT NULL DEFAULT '', -- how
        device_id TEXT NOT NULL, camera TEXT NOT NULL, incident_id TEXT NOT NULL, way TEXT NOT NULL,
        "by" TEXT NOT NULL, reason TEXT NOT NULL
    ) STRICT;
    CREATE INDEX opening_at ON opening (at_ms);
    """,
    """
    CREATE TABLE link ( -- the evidence: desk/evidence.py
        n INTEGER PRIMARY KEY, incident_id TEXT NOT NULL, k INTEGER NOT NULL, hash TEXT NOT NULL, body TEXT NOT NULL,
        UNIQUE (incident_id, k)
    ) STRICT;
    """,
    """
    CREATE TABLE recording ( -- one file: see recordings.py
        n INTEGER PRIMARY KEY AUTOINCREMENT, incident_id TEXT NOT NULL, file TEXT NOT NULL UNIQUE,
        from_ms INTEGER NOT NULL, to_ms INTEGER NOT NULL, size INTEGER NOT NULL, sha256 TEXT NOT NULL,
        deleted_ms INTEGER -- null: it is there
    ) STRICT;
    CREATE INDEX recording_incident ON recording (incident_id);
    CREATE TABLE hold ( -- incidents whose recordings are not deleted
        incident_id TEXT PRIMARY KEY, at_ms INTEGER NOT NULL, "by" TEXT NOT NULL, why TEXT NOT NULL
    ) STRICT;
    """,
    """
    CREATE TABLE shift ( -- see shifts.py
        n INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL,
        from_ms INTEGER NOT NULL, to_ms INTEGER, -- null: on duty
        note TEXT NOT NULL DEFAULT '', read_by TEXT NOT NULL DEFAULT '', read_ms INTEGER
    ) STRICT;
    """,
    # Of a false call: a word of desk/misuse.py.
    "ALTER TABLE incident ADD COLUMN misuse TEXT NOT NULL DEFAULT ''",
    """
    CREATE TABLE hearing ( -- see upkeep/hearing.py; a month of the desk's own time, such as 2026-11
        device_id TEXT NOT NULL, month TEXT NOT NULL,
        heartbeats INTEGER NOT NULL, lost INTEGER NOT NULL, dropped INTEGER NOT NULL, restarts INTEGER NOT NULL,
        boot INTEGER NOT NULL, -- the latest
        PRIMARY KEY (device_id, month)
    ) STRICT;
    """,
    """
    -- The kind of a false call is part of its closing, which the other desks hear of.
    ALTER TABLE decision ADD COLUMN misuse TEXT NOT NULL DEFAULT '';
    UPDATE decision SET misuse = incident.misuse FROM incident
        WHERE incident.id = decision.incident_id AND incident.press = decision.press
        AND decision.state = 'closed' AND decision.outcome = 'false';
    """,
    """
    CREATE TABLE voice ( -- columns that have proven what they said: see proven.py
        device_id TEXT PRIMARY KEY, key TEXT NOT NULL -- the mark of the key with which they did
    ) STRICT;
    """,
    """
    -- At which press this desk first heard of the call: a later one's alarm has the age of the first press,
    -- which another centre may have had. Of a call of before as its timeline has it; null: nobody knows.
    ALTER TABLE incident ADD COLUMN first_press INTEGER;
    UPDATE incident SET first_press = (
        SELECT json_extract(detail, '$.press') FROM entry
        WHERE entry.incident_id = incident.id AND kind = 'press' ORDER BY n LIMIT 1
    );
    """,
)
