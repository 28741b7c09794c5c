-- One pack may have chunks of several exchanges.

-- exchange (16) and number of records (2, big endian) of each run of records in it; NULL: all are the exchange's.
ALTER TABLE packs ADD COLUMN runs BLOB;
