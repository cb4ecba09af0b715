-- Samples of mismatches, redacted: no value and no key of the application is in here, only hashes, and in the case
-- stand-ins (but for entities whose samples are revealed).
CREATE SCHEMA IF NOT EXISTS shadow;

CREATE TABLE IF NOT EXISTS shadow.sample (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    entity text NOT NULL,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    op text NOT NULL,
    kind text NOT NULL,
    state text NOT NULL,
    path text NOT NULL,
    key_hash text,
    explanation text NOT NULL,
    repaired_at timestamptz
);

-- The mismatch as a case that can be replayed, in extended JSON; NULL where none could be made of it.
ALTER TABLE shadow.sample ADD COLUMN IF NOT EXISTS replay text;

-- What is listed, pruned and repaired is found by entity, newest first.
CREATE INDEX IF NOT EXISTS sample_entity ON shadow.sample (entity, id DESC);

-- One random salt for the fleet, so that all processes hash a key alike and nobody outside can guess keys from hashes.
CREATE TABLE IF NOT EXISTS shadow.sample_salt (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    salt bytea NOT NULL
);

INSERT INTO shadow.sample_salt (salt)
VALUES (uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()))
ON CONFLICT DO NOTHING;

-- The hash under which a record's key appears in the samples.
CREATE OR REPLACE FUNCTION shadow.sample_hash(entity text, key bytea) RETURNS text
LANGUAGE sql STABLE STRICT
SET search_path = pg_catalog
AS $$
    SELECT encode(substr(sha256(salt || convert_to(entity, 'UTF8') || '\x00'::bytea || key), 1, 8), 'hex')
    FROM shadow.sample_salt
$$;
