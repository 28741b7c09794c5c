-- What callers need who do not hold a connection: who owns a call, events, idempotency keys and callbacks.

-- owner: the caller's identity, '' for anonymous. callback: where the answer is sent, '' for nowhere; notify: 1 for
-- each stage too. replay_of: the exchange that this one repeats. transient: 1 where the content goes with the end.
ALTER TABLE exchanges ADD COLUMN owner TEXT NOT NULL DEFAULT '';
ALTER TABLE exchanges ADD COLUMN callback TEXT NOT NULL DEFAULT '';
ALTER TABLE exchanges ADD COLUMN notify INTEGER NOT NULL DEFAULT 0;
ALTER TABLE exchanges ADD COLUMN replay_of BLOB;
ALTER TABLE exchanges ADD COLUMN transient INTEGER NOT NULL DEFAULT 0;
CREATE INDEX exchanges_transient ON exchanges (ended, id, side) WHERE transient = 1 AND expired = 0 AND ended > 0;
CREATE INDEX exchanges_owner ON exchanges (owner, created, id, side) WHERE owner <> '';

-- n: microseconds of the unix time of its commit, made unique: it ascends and is never given twice. at: when it
-- happened, by the clock of the site where it did.
CREATE TABLE events (
  n        INTEGER PRIMARY KEY,
  exchange BLOB NOT NULL,
  type     TEXT NOT NULL,
  at       INTEGER NOT NULL
) STRICT;
CREATE INDEX events_exchange ON events (exchange, n);

-- scope: SHA-256 of caller, method, target and key. print: SHA-256 of what must be the same in a repetition.
CREATE TABLE keys (
  scope    BLOB PRIMARY KEY,
  print    BLOB NOT NULL,
  exchange BLOB NOT NULL,
  created  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX keys_created ON keys (created);

-- id: the webhook-id. at: when what it tells happened. next: when it is tried next, while it is due.
CREATE TABLE callbacks (
  id       TEXT PRIMARY KEY,
  exchange BLOB NOT NULL,
  type     TEXT NOT NULL,
  url      TEXT NOT NULL,
  at       INTEGER NOT NULL,
  state    INTEGER NOT NULL, -- 0 due, 1 delivered, 2 given up
  tries    INTEGER NOT NULL,
  next     INTEGER NOT NULL,
  status   INTEGER NOT NULL, -- of the last answer, 0 for none
  error    TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX callbacks_due ON callbacks (next, id) WHERE state = 0;
CREATE INDEX callbacks_dead ON callbacks (at, id) WHERE state = 2;
CREATE INDEX callbacks_exchange ON callbacks (exchange, at, id);

-- Receivers that answered 410: nothing is sent there any more.
CREATE TABLE disabled (
  url TEXT PRIMARY KEY,
  at  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE VIEW events_view AS SELECT
  n, lower(hex(exchange)) AS exchange, type, strftime('%Y-%m-%dT%H:%M:%fZ', at / 1000.0, 'unixepoch') AS at
  FROM events;

CREATE VIEW callbacks_view AS SELECT
  id, lower(hex(exchange)) AS exchange, type, url, CASE state WHEN 0 THEN 'due' WHEN 1 THEN 'delivered' ELSE 'given up' END AS state,
  tries, status, error, strftime('%Y-%m-%dT%H:%M:%fZ', at / 1000.0, 'unixepoch') AS at,
  CASE WHEN state = 0 THEN strftime('%Y-%m-%dT%H:%M:%fZ', next / 1000.0, 'unixepoch') END AS next
  FROM callbacks;
