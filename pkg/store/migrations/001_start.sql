-- The first layout of hoft's state.
--
-- Conventions: ids are 16-byte blobs; times are unix milliseconds, 0 for "not yet"; ranges and
-- lists of words are JSON; NULL stands for empty bytes and for "belongs to no exchange". The views
-- at the end show the same in words, for an operator with the sqlite3 command.

PRAGMA application_id = 1752131188; -- "hoft"

CREATE TABLE meta (
  key   TEXT PRIMARY KEY,
  value BLOB
) STRICT, WITHOUT ROWID;

-- Sums that are carried along, so that reading them costs one row.
CREATE TABLE counters (
  name TEXT PRIMARY KEY,
  n    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO counters VALUES ('result_bytes', 0);

CREATE TABLE links (
  peer         BLOB PRIMARY KEY,
  epoch        INTEGER NOT NULL,
  peer_epoch   INTEGER NOT NULL,
  last_id      INTEGER NOT NULL,
  seq_reserved INTEGER NOT NULL,
  contig       INTEGER NOT NULL,
  ooo          TEXT NOT NULL,
  peer_base    INTEGER NOT NULL, -- the ack of the ack: ids below it the peer no longer holds
  peer_last    INTEGER NOT NULL,
  acked_contig INTEGER NOT NULL,
  acked_ooo    TEXT NOT NULL,
  peer_caps    TEXT NOT NULL,
  srtt_ns      INTEGER NOT NULL,
  rttvar_ns    INTEGER NOT NULL,
  last_seen    INTEGER NOT NULL,
  seen         TEXT NOT NULL,
  runs         BLOB
) STRICT, WITHOUT ROWID;

-- acked: the time of the ack; minus the time of creation while there is none. So a row keeps its
-- length when it is acked and SQLite overwrites it in place, however long its data.
CREATE TABLE outbox (
  n        INTEGER PRIMARY KEY,
  peer     BLOB NOT NULL,
  id       INTEGER NOT NULL,
  kind     TEXT NOT NULL,
  prio     INTEGER NOT NULL,
  exchange BLOB,
  keep     INTEGER NOT NULL,
  created  INTEGER NOT NULL,
  acked    INTEGER NOT NULL,
  size     INTEGER NOT NULL,
  data     BLOB
) STRICT;
CREATE UNIQUE INDEX outbox_open ON outbox (peer, id) WHERE acked < 0;
CREATE INDEX outbox_exchange ON outbox (exchange, id) WHERE exchange IS NOT NULL;

CREATE TABLE sent (
  peer  BLOB NOT NULL,
  seq   INTEGER NOT NULL,
  nonce TEXT NOT NULL,
  at    INTEGER NOT NULL,
  ids   TEXT NOT NULL,
  size  INTEGER NOT NULL,
  state INTEGER NOT NULL, -- 0 in transit, 1 acked, 2 replaced
  PRIMARY KEY (peer, seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX sent_open ON sent (peer, seq) WHERE state = 0;

-- n is the order of arrival. part is 1 for a body part whose exchange has not ended.
CREATE TABLE inbox (
  n          INTEGER PRIMARY KEY,
  peer       BLOB NOT NULL,
  peer_epoch INTEGER NOT NULL,
  id         INTEGER NOT NULL,
  kind       TEXT NOT NULL,
  exchange   BLOB,
  attempt    INTEGER NOT NULL,
  "offset"   INTEGER NOT NULL,
  enc        TEXT NOT NULL,
  sent_at    INTEGER NOT NULL,
  received   INTEGER NOT NULL,
  tries      INTEGER NOT NULL,
  state      INTEGER NOT NULL, -- 0 new, 1 handled, 2 failed
  part       INTEGER NOT NULL, -- 1: listed for a restart while its exchange has not ended
  plain      INTEGER NOT NULL, -- bytes of the body decompressed
  size       INTEGER NOT NULL,
  data       BLOB,
  body       BLOB
) STRICT;
CREATE UNIQUE INDEX inbox_id ON inbox (peer, peer_epoch, id);
CREATE INDEX inbox_exchange ON inbox (exchange, attempt, kind, "offset") WHERE exchange IS NOT NULL;
CREATE INDEX inbox_new ON inbox (state) WHERE state = 0;
CREATE INDEX inbox_failed ON inbox (peer) WHERE state = 2;
CREATE INDEX inbox_part ON inbox (exchange, attempt, "offset") WHERE part = 1;

-- side: 0 ingress, 1 egress. held: what it counts for in result_bytes; NULL while not counted.
CREATE TABLE exchanges (
  id        BLOB NOT NULL,
  side      INTEGER NOT NULL,
  peer      BLOB NOT NULL,
  upstream  TEXT NOT NULL,
  route     TEXT NOT NULL,
  method    TEXT NOT NULL,
  target    TEXT NOT NULL,
  caller    TEXT NOT NULL,
  stage     TEXT NOT NULL,
  state     TEXT NOT NULL,
  attempt   INTEGER NOT NULL,
  oep       INTEGER NOT NULL,
  key       TEXT NOT NULL,
  created   INTEGER NOT NULL,
  deadline  INTEGER NOT NULL,
  stages    BLOB,
  status    INTEGER NOT NULL,
  problem   TEXT NOT NULL,
  detail    TEXT NOT NULL,
  req_bytes INTEGER NOT NULL,
  res_bytes INTEGER NOT NULL,
  ended     INTEGER NOT NULL,
  expired   INTEGER NOT NULL,
  held      INTEGER,
  PRIMARY KEY (id, side)
) STRICT, WITHOUT ROWID;
CREATE INDEX exchanges_created ON exchanges (created, id, side);
-- All states but the usual end: an exchange is in here while it runs, and for good when it went wrong.
CREATE INDEX exchanges_state ON exchanges (state, created, id, side) WHERE state <> 'succeeded';
CREATE INDEX exchanges_ended ON exchanges (expired, ended, id, side) WHERE ended > 0;

CREATE VIEW links_view AS SELECT
  lower(hex(peer)) AS peer, epoch, peer_epoch, last_id, seq_reserved, contig AS received_contig, ooo AS received_ooo,
  peer_base, peer_last, acked_contig, acked_ooo, peer_caps, srtt_ns / 1000000 AS srtt_ms,
  CASE WHEN last_seen > 0 THEN strftime('%Y-%m-%dT%H:%M:%fZ', last_seen / 1000.0, 'unixepoch') END AS last_seen
  FROM links;

CREATE VIEW outbox_view AS SELECT
  lower(hex(peer)) AS peer, id, kind, prio, lower(hex(exchange)) AS exchange, keep, size,
  strftime('%Y-%m-%dT%H:%M:%fZ', created / 1000.0, 'unixepoch') AS created,
  CASE WHEN acked > 0 THEN strftime('%Y-%m-%dT%H:%M:%fZ', acked / 1000.0, 'unixepoch') END AS acked
  FROM outbox;

CREATE VIEW sent_view AS SELECT
  lower(hex(peer)) AS peer, seq, nonce, strftime('%Y-%m-%dT%H:%M:%fZ', at / 1000.0, 'unixepoch') AS sent,
  ids AS message_ids, size, CASE state WHEN 0 THEN 'in transit' WHEN 1 THEN 'acked' ELSE 'replaced' END AS state
  FROM sent;

-- ack_of_ack: the peer has said that it knows we have it. So it has of all of an epoch that is over.
CREATE VIEW inbox_view AS SELECT
  lower(hex(i.peer)) AS peer, i.peer_epoch, i.id, i.kind, lower(hex(i.exchange)) AS exchange, i.attempt, i."offset",
  i.size, strftime('%Y-%m-%dT%H:%M:%fZ', i.sent_at / 1000.0, 'unixepoch') AS sent,
  strftime('%Y-%m-%dT%H:%M:%fZ', i.received / 1000.0, 'unixepoch') AS received,
  coalesce(i.peer_epoch <> l.peer_epoch OR i.id < l.peer_base, 0) AS ack_of_ack,
  i.tries, CASE i.state WHEN 0 THEN 'new' WHEN 1 THEN 'handled' ELSE 'failed' END AS state
  FROM inbox i LEFT JOIN links l ON l.peer = i.peer;

CREATE VIEW exchanges_view AS SELECT
  lower(hex(id)) AS id, CASE side WHEN 0 THEN 'ingress' ELSE 'egress' END AS side, lower(hex(peer)) AS peer, upstream,
  method, target, stage, state, attempt, status, problem, detail, req_bytes, res_bytes,
  strftime('%Y-%m-%dT%H:%M:%fZ', created / 1000.0, 'unixepoch') AS created,
  CASE WHEN ended > 0 THEN strftime('%Y-%m-%dT%H:%M:%fZ', ended / 1000.0, 'unixepoch') END AS ended, expired
  FROM exchanges;
