-- Stored data that is being fetched from peers. map is the data map: a secret, as the data is. peers: the sites that are
-- asked, in order, 16 bytes each.
CREATE TABLE fetches (
  exchange BLOB NOT NULL PRIMARY KEY,
  map      BLOB,
  off      INTEGER NOT NULL,
  len      INTEGER NOT NULL,
  peers    BLOB
) STRICT, WITHOUT ROWID;
