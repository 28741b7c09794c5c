-- What upstreams gave this site to show them: tokens and cookies, sealed by pkg/egress/credentials.

CREATE TABLE credentials (
  upstream TEXT NOT NULL,
  kind     TEXT NOT NULL, -- oauth2 or cookies
  owner    TEXT NOT NULL, -- for whom: a peer and its caller; '' for all
  at       INTEGER NOT NULL,
  sealed   BLOB,
  PRIMARY KEY (upstream, kind, owner)
) STRICT, WITHOUT ROWID;
CREATE INDEX credentials_at ON credentials (kind, at);
