-- What travels as chunks in packs.

-- own 1: a pack of this site; 0: one that the peer announced. recs: name (16), hash (32), length (4, big endian) of each
-- record; for a settled pack of the peer the places (2, big endian) of records that did not come.
CREATE TABLE packs (
  peer     BLOB NOT NULL,
  own      INTEGER NOT NULL,
  seq      INTEGER NOT NULL,
  exchange BLOB NOT NULL,
  state    INTEGER NOT NULL, -- 0 announced, 1 written, 2 settled
  at       INTEGER NOT NULL,
  size     INTEGER NOT NULL,
  recs     BLOB,
  PRIMARY KEY (peer, own, seq)
) STRICT, WITHOUT ROWID;

-- The chunks of bodies that are on their way to a peer, in the order of the body. n is the order of offering.
CREATE TABLE offers (
  n        INTEGER PRIMARY KEY,
  peer     BLOB NOT NULL,
  exchange BLOB NOT NULL,
  recs     BLOB
) STRICT;
CREATE INDEX offers_peer ON offers (peer);
CREATE INDEX offers_exchange ON offers (exchange);

-- Names of chunks that a peer is known to hold. n is the order in which that became known.
CREATE TABLE held (
  n    INTEGER PRIMARY KEY,
  peer BLOB NOT NULL,
  name BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX held_name ON held (peer, name);
CREATE INDEX held_order ON held (peer, n);

CREATE VIEW packs_view AS SELECT
  lower(hex(peer)) AS peer, CASE own WHEN 1 THEN 'own' ELSE 'peer''s' END AS whose, seq, lower(hex(exchange)) AS exchange,
  CASE state WHEN 0 THEN 'announced' WHEN 1 THEN 'written' ELSE 'settled' END AS state, size,
  CASE WHEN at > 0 THEN strftime('%Y-%m-%dT%H:%M:%fZ', at / 1000.0, 'unixepoch') END AS at
  FROM packs;
