-- What the Direct Data API keeps: which data, for whom, and uploads under way.

-- root: SHA-256 of the map's JSON; the map itself is the client's alone. token: name of who keeps the data, '' for anybody.
-- owner: whose its chunks are in chunk_pins. expires: 0 for never.
CREATE TABLE data_pins (
  root    BLOB NOT NULL,
  token   TEXT NOT NULL,
  owner   BLOB NOT NULL,
  size    INTEGER NOT NULL,
  created INTEGER NOT NULL,
  expires INTEGER NOT NULL,
  PRIMARY KEY (root, token)
) STRICT, WITHOUT ROWID;
CREATE INDEX data_pins_expires ON data_pins (expires, root, token) WHERE expires > 0;

-- id: of the upload, and whose its chunks are in chunk_pins. map: JSON of what has come, a secret, NULL for nothing. length: -1
-- while it is not known. An upload that is not resumable is over when hoft starts. asked: pkg/dataapi's own JSON.
CREATE TABLE data_uploads (
  id        BLOB PRIMARY KEY,
  token     TEXT NOT NULL,
  resumable INTEGER NOT NULL,
  complete  INTEGER NOT NULL,
  length    INTEGER NOT NULL,
  map       BLOB,
  asked     BLOB,
  created   INTEGER NOT NULL,
  expires   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX data_uploads_expires ON data_uploads (expires, id);

INSERT INTO counters VALUES ('data_pins', 0), ('data_bytes', 0);

CREATE TRIGGER data_pin_added AFTER INSERT ON data_pins BEGIN
  UPDATE counters SET n = n + 1 WHERE name = 'data_pins';
  UPDATE counters SET n = n + NEW.size WHERE name = 'data_bytes';
END;
CREATE TRIGGER data_pin_changed AFTER UPDATE OF size ON data_pins BEGIN
  UPDATE counters SET n = n + NEW.size - OLD.size WHERE name = 'data_bytes';
END;
CREATE TRIGGER data_pin_dropped AFTER DELETE ON data_pins BEGIN
  UPDATE counters SET n = n - 1 WHERE name = 'data_pins';
  UPDATE counters SET n = n - OLD.size WHERE name = 'data_bytes';
END;

CREATE VIEW data_pins_view AS SELECT
  lower(hex(root)) AS root, token, lower(hex(owner)) AS owner, size, strftime('%Y-%m-%dT%H:%M:%fZ', created / 1000.0, 'unixepoch') AS created,
  CASE WHEN expires > 0 THEN strftime('%Y-%m-%dT%H:%M:%fZ', expires / 1000.0, 'unixepoch') END AS expires
  FROM data_pins;
