-- The chunk store's table of contents: which chunk lies where, and who needs it.

-- live: bytes of records that rows of chunks point to; kept by the triggers below.
CREATE TABLE chunk_files (
  id   INTEGER PRIMARY KEY,
  size INTEGER NOT NULL,
  live INTEGER NOT NULL
) STRICT;

-- A record (20 bytes of header, then len bytes) begins at byte "at" of its file. The hash belongs to the key: a name can be
-- seen in the pipe, and somebody else could announce other bytes under it. pins: how many owners need the name.
CREATE TABLE chunks (
  name BLOB NOT NULL,
  hsh  BLOB NOT NULL,
  len  INTEGER NOT NULL,
  file INTEGER NOT NULL,
  at   INTEGER NOT NULL,
  used INTEGER NOT NULL,
  pins INTEGER NOT NULL,
  PRIMARY KEY (name, hsh)
) STRICT, WITHOUT ROWID;
CREATE INDEX chunks_file ON chunks (file, at);
CREATE INDEX chunks_idle ON chunks (used, file, at) WHERE pins = 0;

-- An owner (an exchange, or data that the Data API keeps) may need a name before its chunk is stored.
CREATE TABLE chunk_pins (
  owner BLOB NOT NULL,
  name  BLOB NOT NULL,
  PRIMARY KEY (owner, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX chunk_pins_name ON chunk_pins (name);

INSERT INTO counters VALUES ('chunks', 0), ('chunk_bytes', 0), ('chunk_bytes_pinned', 0);

CREATE TRIGGER chunk_added AFTER INSERT ON chunks BEGIN
  UPDATE chunk_files SET live = live + 20 + NEW.len WHERE id = NEW.file;
  UPDATE counters SET n = n + 1 WHERE name = 'chunks';
  UPDATE counters SET n = n + 20 + NEW.len WHERE name = 'chunk_bytes';
  UPDATE counters SET n = n + 20 + NEW.len WHERE name = 'chunk_bytes_pinned' AND NEW.pins > 0;
END;
CREATE TRIGGER chunk_moved AFTER UPDATE OF file, at, len ON chunks BEGIN
  UPDATE chunk_files SET live = live - 20 - OLD.len WHERE id = OLD.file;
  UPDATE chunk_files SET live = live + 20 + NEW.len WHERE id = NEW.file;
  UPDATE counters SET n = n + NEW.len - OLD.len WHERE name = 'chunk_bytes';
  UPDATE counters SET n = n + NEW.len - OLD.len WHERE name = 'chunk_bytes_pinned' AND NEW.pins > 0;
END;
CREATE TRIGGER chunk_dropped AFTER DELETE ON chunks BEGIN
  UPDATE chunk_files SET live = live - 20 - OLD.len WHERE id = OLD.file;
  UPDATE counters SET n = n - 1 WHERE name = 'chunks';
  UPDATE counters SET n = n - 20 - OLD.len WHERE name = 'chunk_bytes';
  UPDATE counters SET n = n - 20 - OLD.len WHERE name = 'chunk_bytes_pinned' AND OLD.pins > 0;
END;
CREATE TRIGGER chunk_needed AFTER UPDATE OF pins ON chunks WHEN (OLD.pins > 0) <> (NEW.pins > 0) BEGIN
  UPDATE counters SET n = n + (20 + NEW.len) * ((NEW.pins > 0) - (OLD.pins > 0)) WHERE name = 'chunk_bytes_pinned';
END;
CREATE TRIGGER pin_added AFTER INSERT ON chunk_pins BEGIN
  UPDATE chunks SET pins = pins + 1 WHERE name = NEW.name;
END;
CREATE TRIGGER pin_dropped AFTER DELETE ON chunk_pins BEGIN
  UPDATE chunks SET pins = pins - 1 WHERE name = OLD.name;
END;

CREATE VIEW chunks_view AS SELECT
  lower(hex(name)) AS name, lower(hex(hsh)) AS hsh, len, file, at, pins,
  CASE WHEN used > 0 THEN strftime('%Y-%m-%dT%H:%M:%fZ', used / 1000.0, 'unixepoch') END AS used
  FROM chunks;
