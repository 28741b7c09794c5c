-- What a link has learned of its pipe, as JSON of its own: NULL until there is something.
ALTER TABLE links ADD COLUMN learned BLOB;
