-- The control schema: what the fleet agrees on. Idempotent; run by the owner role through `shadow schema`.
CREATE SCHEMA IF NOT EXISTS shadow;

-- Where each entity stands. `epoch` moves with every stage of a step, `term` only when the authority moves.
CREATE TABLE IF NOT EXISTS shadow.entity (
    entity      text PRIMARY KEY,
    phase       text NOT NULL DEFAULT 'legacy',
    step        text,
    stage       text,
    epoch       bigint NOT NULL DEFAULT 1,
    term        bigint NOT NULL DEFAULT 1,
    stage_since timestamptz NOT NULL DEFAULT now(),
    backfill    text NOT NULL DEFAULT 'none',
    dual_since  timestamptz,
    latch       text
);

-- Leases. `generation` is the server generation under which the lease was last renewed.
CREATE TABLE IF NOT EXISTS shadow.process (
    id            uuid PRIMARY KEY,
    host          text NOT NULL,
    pid           integer NOT NULL,
    pid_namespace text NOT NULL,
    started       double precision NOT NULL,
    command       text NOT NULL DEFAULT '',
    protocol_min  integer NOT NULL,
    protocol_max  integer NOT NULL,
    joined_at     timestamptz NOT NULL DEFAULT now(),
    expires_at    timestamptz NOT NULL,
    generation    uuid NOT NULL,
    acknowledged  jsonb NOT NULL DEFAULT '{}',
    gone_at       timestamptz,
    gone_why      text
);
CREATE INDEX IF NOT EXISTS process_alive ON shadow.process (host) WHERE gone_at IS NULL;

-- One row that a crash, a fail-over or a point-in-time recovery empties: whoever finds it empty knows that commits that
-- were not flushed may be gone, and writes a new generation.
CREATE UNLOGGED TABLE IF NOT EXISTS shadow.generation (
    one   boolean PRIMARY KEY DEFAULT true CHECK (one),
    token uuid NOT NULL DEFAULT gen_random_uuid(),
    born  timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- Marks. A closed mark is kept for a retention: a late upload must not reopen it, and the backfill asks for it.
CREATE TABLE IF NOT EXISTS shadow.mark (
    owner     uuid NOT NULL,
    seq       bigint NOT NULL,
    entity    text NOT NULL,
    key       bytea,
    opened_at timestamptz NOT NULL,
    closed_at timestamptz,
    refused   text,
    attempts  integer NOT NULL DEFAULT 0,
    due_at    timestamptz,
    PRIMARY KEY (owner, seq)
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_cost_delay = 1);
-- Of open marks by age, for who says so: whoever looks for a key must not be planned to read all marks of the entity.
CREATE INDEX IF NOT EXISTS mark_age ON shadow.mark ((entity || ''), opened_at) WHERE closed_at IS NULL;
-- Of open marks only: a hot key leaves thousands of closed ones within the retention.
CREATE INDEX IF NOT EXISTS mark_open_key ON shadow.mark (entity, substr(key, 1, 1024)) WHERE closed_at IS NULL;
CREATE INDEX IF NOT EXISTS mark_refused ON shadow.mark (entity) WHERE closed_at IS NULL AND refused IS NOT NULL;
CREATE INDEX IF NOT EXISTS mark_closed ON shadow.mark (closed_at) WHERE closed_at IS NOT NULL;
CREATE SEQUENCE IF NOT EXISTS shadow.outbox_seq;

CREATE TABLE IF NOT EXISTS shadow.debt (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    entity     text NOT NULL,
    reason     text NOT NULL,
    since      timestamptz NOT NULL,
    payable_at timestamptz NOT NULL,
    opened_at  timestamptz NOT NULL DEFAULT now(),
    paid_at    timestamptz,
    evidence   jsonb
);
CREATE INDEX IF NOT EXISTS debt_open ON shadow.debt (entity) WHERE paid_at IS NULL;
CREATE INDEX IF NOT EXISTS debt_paid ON shadow.debt (entity, paid_at);

-- What each process has seen of each entity, for the gates: counts and rates, overwritten in place.
CREATE TABLE IF NOT EXISTS shadow.fact (
    process uuid NOT NULL,
    entity  text NOT NULL,
    name    text NOT NULL,
    value   double precision NOT NULL,
    at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (entity, name, process)
);

-- How far backfill and verify of an entity have come, so that they resume.
CREATE TABLE IF NOT EXISTS shadow.job (
    entity     text NOT NULL,
    job        text NOT NULL,
    state      jsonb NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (entity, job)
);

-- Append-only: every change of phase, with who and why.
CREATE TABLE IF NOT EXISTS shadow.audit (
    id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    entity   text NOT NULL,
    who      text NOT NULL,
    phase    text NOT NULL,
    step     text,
    stage    text,
    why      text NOT NULL,
    evidence jsonb NOT NULL DEFAULT '{}'
);

CREATE OR REPLACE FUNCTION shadow.append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'shadow.audit is append-only';
END $$;
CREATE OR REPLACE TRIGGER audit_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON shadow.audit
    FOR EACH STATEMENT EXECUTE FUNCTION shadow.append_only();

-- The server generation now; written anew when a crash emptied it.
CREATE OR REPLACE FUNCTION shadow.generation_now() RETURNS uuid LANGUAGE plpgsql VOLATILE AS $$
DECLARE found_token uuid;
BEGIN
    SELECT token INTO found_token FROM shadow.generation;
    IF found_token IS NULL THEN
        INSERT INTO shadow.generation DEFAULT VALUES ON CONFLICT DO NOTHING;
        SELECT token INTO found_token FROM shadow.generation;
    END IF;
    RETURN found_token;
END $$;

-- Whether a transaction that changes a record may go on: the authority has not moved, and cannot move before it ends.
-- The shared lock comes before the statement that reads the term, so that its snapshot is younger than the lock.
CREATE OR REPLACE FUNCTION shadow.enter(p_entity text, p_term bigint) RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(hashtextextended('shadow.entity:' || p_entity, 0));
    RETURN EXISTS (SELECT FROM shadow.entity e WHERE e.entity = p_entity AND e.term = p_term);
END $$;

-- Whether new may answer a read: the epoch is the reader's, no mark of the key (of the entity, where the key is NULL) is
-- older than the sync's time-out or than the server's generation (the sync that closed it, and let its writer return, may
-- be lost with the restart) or is refused (its writer has returned, however young it is), no debt is open, and every lease
-- is live and renewed since then. Marks are looked up by index, also where a session planned that while there were few.
-- In PL/pgSQL because its statements are planned once a session; an SQL function is planned at every call.
CREATE OR REPLACE FUNCTION shadow.readable(p_entity text, p_epoch bigint, p_key bytea, p_stale_after double precision)
RETURNS boolean LANGUAGE plpgsql STABLE SET enable_seqscan = off AS $$
DECLARE
    current_token uuid;
    born_at timestamptz;
    stale_at timestamptz;
BEGIN
    IF NOT EXISTS (SELECT FROM shadow.entity e WHERE e.entity = p_entity AND e.epoch = p_epoch) THEN
        RETURN false;
    ELSIF p_stale_after IS NULL THEN
        RETURN true;
    END IF;
    SELECT g.token, g.born INTO current_token, born_at FROM shadow.generation g;
    stale_at := greatest(clock_timestamp() - p_stale_after * interval '1 second', born_at);
    IF p_key IS NULL THEN
        IF EXISTS (SELECT FROM shadow.mark m
                    WHERE m.entity || '' = p_entity AND m.closed_at IS NULL AND m.opened_at <= stale_at)
           OR EXISTS (SELECT FROM shadow.mark m
                       WHERE m.entity = p_entity AND m.closed_at IS NULL AND m.refused IS NOT NULL) THEN
            RETURN false;
        END IF;
    ELSIF EXISTS (SELECT FROM shadow.mark m
                   WHERE m.entity = p_entity AND substr(m.key, 1, 1024) = substr(p_key, 1, 1024) AND m.key = p_key
                     AND m.closed_at IS NULL AND (m.opened_at <= stale_at OR m.refused IS NOT NULL))
       OR EXISTS (SELECT FROM shadow.mark m
                   WHERE m.entity = p_entity AND substr(m.key, 1, 1024) IS NULL
                     AND m.closed_at IS NULL AND m.opened_at <= stale_at) THEN
        RETURN false;
    END IF;
    RETURN NOT EXISTS (SELECT FROM shadow.debt d WHERE d.entity = p_entity AND d.paid_at IS NULL)
       AND NOT EXISTS (SELECT FROM shadow.process p
                        WHERE p.gone_at IS NULL
                          AND (p.expires_at < clock_timestamp() OR p.generation IS DISTINCT FROM current_token));
END $$;

-- Locks the keys of a sync, then says which marks it may close. The locks are the session's, taken in ascending order;
-- each statement below has a snapshot younger than the locks. A row whose key is NULL says that the term is still good.
-- OFFSET 0 keeps each look-up apart: planned together while marks were few, they would read all of them when they are many.
CREATE OR REPLACE FUNCTION shadow.capture(
    p_entity text, p_term bigint, p_me uuid, p_locks bigint[], p_keys bytea[],
    p_mine_keys bytea[], p_mine_seqs bigint[], p_put_seqs bigint[], p_settle double precision)
RETURNS TABLE (key bytea, owner uuid, seq bigint, alone boolean) LANGUAGE plpgsql VOLATILE AS $$
DECLARE lock_id bigint;
BEGIN
    FOREACH lock_id IN ARRAY p_locks LOOP
        PERFORM pg_advisory_lock(lock_id);
    END LOOP;
    IF NOT shadow.enter(p_entity, p_term) THEN
        RETURN;
    END IF;
    IF p_put_seqs IS NOT NULL THEN
        INSERT INTO shadow.mark (owner, seq, entity, key, opened_at)
        SELECT p_me, u.put_seq, p_entity, u.put_key, clock_timestamp()
          FROM unnest(p_put_seqs, p_keys) AS u(put_seq, put_key);
    END IF;
    RETURN QUERY SELECT NULL::bytea, NULL::uuid, NULL::bigint, NULL::boolean;
    RETURN QUERY
        WITH wanted AS (SELECT k AS wanted_key FROM unnest(p_keys) AS k),
        mine AS (SELECT u.mine_key, u.mine_seq FROM unnest(p_mine_keys, p_mine_seqs) AS u(mine_key, mine_seq)),
        since AS (SELECT n.mine_key, min(m.opened_at) AS opened_at
                    FROM mine n
                   CROSS JOIN LATERAL (SELECT o.opened_at FROM shadow.mark o
                                        WHERE o.owner = p_me AND o.seq = n.mine_seq OFFSET 0) m
                   GROUP BY n.mine_key)
        SELECT w.wanted_key, m.owner, m.seq,
               s.opened_at IS NOT NULL AND NOT EXISTS (
                   SELECT FROM shadow.mark o
                    WHERE o.entity = p_entity AND substr(o.key, 1, 1024) = substr(w.wanted_key, 1, 1024)
                      AND o.key = w.wanted_key AND o.closed_at IS NULL
                      AND NOT (o.owner = p_me AND o.seq IN (SELECT n.mine_seq FROM mine n
                                                             WHERE n.mine_key = w.wanted_key)))
               AND NOT EXISTS (SELECT FROM shadow.mark o
                                WHERE o.closed_at >= s.opened_at AND o.entity = p_entity AND o.key = w.wanted_key)
               AND NOT EXISTS (SELECT FROM shadow.mark o WHERE o.entity = p_entity AND o.closed_at IS NULL
                                  AND substr(o.key, 1, 1024) IS NULL)
               AND NOT EXISTS (SELECT FROM shadow.debt d WHERE d.entity = p_entity AND d.paid_at IS NULL)
               AND NOT EXISTS (SELECT FROM shadow.debt d WHERE d.entity = p_entity AND d.paid_at >= s.opened_at)
          FROM wanted w
          LEFT JOIN since s ON s.mine_key = w.wanted_key
          LEFT JOIN LATERAL (
              SELECT o.owner, o.seq FROM shadow.mark o
               WHERE o.entity = p_entity AND substr(o.key, 1, 1024) = substr(w.wanted_key, 1, 1024)
                 AND o.key = w.wanted_key AND o.closed_at IS NULL
                 AND (o.refused IS NOT NULL
                      OR o.owner = '00000000-0000-0000-0000-000000000000'
                      OR (o.owner = p_me AND o.seq IN (SELECT n.mine_seq FROM mine n WHERE n.mine_key = w.wanted_key))
                      OR EXISTS (SELECT FROM shadow.process p
                                  WHERE p.id = o.owner
                                    AND p.gone_at < clock_timestamp() - p_settle * interval '1 second'))
              OFFSET 0) m ON true;
END $$;
