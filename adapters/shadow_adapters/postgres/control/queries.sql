-- name: mark
-- Opens marks; a mark that was ever known, open or closed, is left as it is.
INSERT INTO shadow.mark (owner, seq, entity, key, opened_at)
SELECT $1::uuid, u.seq, u.entity, u.key, clock_timestamp()
  FROM unnest($2::bigint[], $3::text[], $4::bytea[]) AS u(seq, entity, key)
ON CONFLICT (owner, seq) DO NOTHING;

-- name: mark_one
-- The same for a single mark, which costs less without arrays, and without looking for what is hardly ever there: one
-- that was ever known is a unique violation.
INSERT INTO shadow.mark (owner, seq, entity, key, opened_at) VALUES ($1, $2, $3, $4, clock_timestamp());

-- name: upload
-- Opens remembered or journalled marks (some are both) with the times at which they were made; one that control has with a
-- later time, since its own statement was late, gets the earlier one.
INSERT INTO shadow.mark (owner, seq, entity, key, opened_at)
SELECT DISTINCT ON (u.owner, u.seq) u.owner, u.seq, u.entity, u.key, coalesce(to_timestamp(u.opened_at), to_timestamp(0))
  FROM unnest($1::uuid[], $2::bigint[], $3::text[], $4::bytea[], $5::float8[]) AS u(owner, seq, entity, key, opened_at)
 ORDER BY u.owner, u.seq, u.opened_at
ON CONFLICT (owner, seq) DO UPDATE SET opened_at = excluded.opened_at
 WHERE mark.closed_at IS NULL AND excluded.opened_at < mark.opened_at AND excluded.opened_at > to_timestamp(0);

-- name: name_mark
-- A keyless mark gets the key that the server chose.
UPDATE shadow.mark SET key = $3 WHERE owner = $1 AND seq = $2 AND key IS NULL;

-- name: drop
-- Closes marks whose writes changed nothing.
UPDATE shadow.mark SET closed_at = clock_timestamp()
 WHERE owner = $1 AND seq = ANY($2::bigint[]) AND closed_at IS NULL;

-- name: close
-- Closes marks. That owners and numbers are among those named is said first, so that the marks are looked up by these.
UPDATE shadow.mark AS m SET closed_at = clock_timestamp()
 WHERE m.owner = ANY($1::uuid[]) AND m.seq = ANY($2::bigint[]) AND m.closed_at IS NULL
   AND (m.owner, m.seq) IN (SELECT c.owner, c.seq FROM unnest($1::uuid[], $2::bigint[]) AS c(owner, seq));

-- name: refuse
-- Notes the refusal; due again after a pause that doubles up to ten minutes.
UPDATE shadow.mark AS m
   SET refused = c.reason, attempts = m.attempts + 1,
       due_at = clock_timestamp() + least(power(2, m.attempts), 600) * interval '1 second'
  FROM unnest($1::uuid[], $2::bigint[], $3::text[]) AS c(owner, seq, reason)
 WHERE m.owner = c.owner AND m.seq = c.seq AND m.closed_at IS NULL;

-- name: orphans
-- Open marks that nobody else works on, oldest first. Of the marks of one key that any sync closes together, the oldest
-- stands for all: a hot key's must not keep the others waiting. Among so many of the oldest only, whatever the backlog.
SELECT * FROM (
    SELECT DISTINCT ON (o.entity, o.key, CASE WHEN o.owner = $1 OR o.key IS NULL OR o.refused IS NOT NULL THEN o.seq END)
           o.owner, o.seq, o.entity, o.key, extract(epoch FROM o.opened_at)::float8 AS opened_at, o.refused, o.attempts
      FROM (SELECT m.* FROM shadow.mark m
             WHERE m.closed_at IS NULL
               AND (m.due_at IS NULL OR m.due_at <= clock_timestamp())
               AND (m.owner = $1 OR m.owner = '00000000-0000-0000-0000-000000000000' OR m.refused IS NOT NULL
                    OR EXISTS (SELECT FROM shadow.process p WHERE p.id = m.owner
                                  AND p.gone_at < clock_timestamp() - $2::float8 * interval '1 second'))
             ORDER BY m.opened_at LIMIT 5 * $3) AS o
     ORDER BY o.entity, o.key, CASE WHEN o.owner = $1 OR o.key IS NULL OR o.refused IS NOT NULL THEN o.seq END,
              o.opened_at) AS found
 ORDER BY opened_at LIMIT $3;

-- name: purge
-- Forgets closed marks after the retention.
WITH old AS (SELECT owner, seq FROM shadow.mark
              WHERE closed_at < clock_timestamp() - $1::float8 * interval '1 second' LIMIT 10000)
DELETE FROM shadow.mark m USING old WHERE m.owner = old.owner AND m.seq = old.seq;

-- name: marked_since
-- Keys of which a mark was open at any time since.
SELECT key FROM shadow.mark WHERE entity = $1 AND key IS NOT NULL AND closed_at IS NULL
UNION
SELECT key FROM shadow.mark WHERE closed_at >= to_timestamp($2) AND entity = $1 AND key IS NOT NULL;

-- name: burden
-- What is open for an entity.
SELECT count(*) AS marks, extract(epoch FROM min(opened_at))::float8 AS oldest_mark,
       count(*) FILTER (WHERE key IS NULL) AS keyless, count(DISTINCT key) FILTER (WHERE refused IS NOT NULL) AS refused,
       (SELECT count(*) FROM shadow.debt d WHERE d.entity = $1 AND d.paid_at IS NULL) AS debts
  FROM shadow.mark WHERE entity = $1 AND closed_at IS NULL;

-- name: owe
-- Debts; the entity * is every one that has a follower.
INSERT INTO shadow.debt (entity, reason, since, payable_at)
SELECT coalesce(e.entity, u.entity), u.reason, coalesce(to_timestamp(u.since), clock_timestamp()),
       clock_timestamp() + u.settle * interval '1 second'
  FROM unnest($1::text[], $2::text[], $3::float8[], $4::float8[]) AS u(entity, reason, since, settle)
  LEFT JOIN shadow.entity e ON u.entity = '*' AND e.phase NOT IN ('legacy', 'new')
 WHERE u.entity <> '*' OR e.entity IS NOT NULL;

-- name: debts
-- Open debts of an entity.
SELECT id, entity, extract(epoch FROM since)::float8 AS since, reason, extract(epoch FROM payable_at)::float8 AS payable_at
  FROM shadow.debt WHERE entity = $1 AND paid_at IS NULL ORDER BY id;

-- name: pay
-- Debts that a verify has covered.
UPDATE shadow.debt SET paid_at = clock_timestamp(), evidence = $2 WHERE id = ANY($1::bigint[]) AND paid_at IS NULL;

-- name: join_process
-- A lease of a new process.
INSERT INTO shadow.process (id, host, pid, pid_namespace, started, command, protocol_min, protocol_max, expires_at,
                            generation)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, clock_timestamp() + $9::float8 * interval '1 second', shadow.generation_now())
ON CONFLICT (id) DO UPDATE SET expires_at = greatest(shadow.process.expires_at, excluded.expires_at),
                               generation = excluded.generation, gone_at = NULL, gone_why = NULL;

-- name: renew
-- Extends a lease, never shortens it; one that was accounted for is alive again.
UPDATE shadow.process SET expires_at = greatest(expires_at, to_timestamp($2)), generation = shadow.generation_now(),
                          gone_at = NULL, gone_why = NULL
 WHERE id = $1;

-- name: introduce
-- A process that died before it ever joined: what it journalled has an owner, who is gone.
INSERT INTO shadow.process (id, host, pid, pid_namespace, started, command, protocol_min, protocol_max, expires_at,
                            generation, gone_at, gone_why)
VALUES ($1, '', 0, '', 0, '', 1, 1, clock_timestamp(), shadow.generation_now(), clock_timestamp(), 'never joined')
ON CONFLICT (id) DO NOTHING;

-- name: revive
-- A process that was accounted for is alive after all: its marks may have been closed while its writes were under way.
INSERT INTO shadow.debt (entity, reason, since, payable_at)
SELECT e.entity, 'a process that was accounted for is alive: ' || p.id::text, p.gone_at,
       clock_timestamp() + $2::float8 * interval '1 second'
  FROM shadow.process p, shadow.entity e
 WHERE p.id = $1 AND p.gone_at IS NOT NULL AND e.phase NOT IN ('legacy', 'new');

-- name: account
-- A process is accounted for. A debt for every entity if its lease was not renewed since the server's restart, or if
-- its journal could not be seen.
WITH gone AS (
    UPDATE shadow.process SET gone_at = clock_timestamp(), gone_why = $2 WHERE id = $1 AND gone_at IS NULL
    RETURNING expires_at, generation)
INSERT INTO shadow.debt (entity, reason, since, payable_at)
SELECT e.entity, 'marks of a process may be lost: ' || $1::text, g.expires_at - interval '1 hour',
       clock_timestamp() + $3::float8 * interval '1 second'
  FROM gone g, shadow.entity e
 WHERE ($4 OR g.generation IS DISTINCT FROM shadow.generation_now()) AND e.phase NOT IN ('legacy', 'new');

-- name: acknowledge
-- Epochs that a process acts under; those that have moved meanwhile are left out.
UPDATE shadow.process p
   SET acknowledged = p.acknowledged || (
       SELECT coalesce(jsonb_object_agg(u.entity, u.epoch), '{}')
         FROM unnest($2::text[], $3::bigint[]) AS u(entity, epoch)
         JOIN shadow.entity e ON e.entity = u.entity AND e.epoch = u.epoch)
 WHERE p.id = $1;

-- name: entities
-- Where every entity stands.
SELECT entity, phase, epoch, term, step, stage, extract(epoch FROM stage_since)::float8 AS stage_since, backfill,
       extract(epoch FROM dual_since)::float8 AS dual_since, latch
  FROM shadow.entity;

-- name: leases
-- Every lease that is not accounted for.
SELECT id, host, pid, pid_namespace, started, command, protocol_min, protocol_max, generation, acknowledged::text,
       extract(epoch FROM expires_at)::float8 AS expires_at
  FROM shadow.process WHERE gone_at IS NULL;

-- name: clock
-- The clock and the generation.
SELECT extract(epoch FROM clock_timestamp())::float8 AS now, shadow.generation_now()::text AS generation;

-- name: ensure
-- A row for every configured entity.
INSERT INTO shadow.entity (entity) SELECT unnest($1::text[]) ON CONFLICT DO NOTHING;

-- name: fence_off
-- Waits until no transaction that changes a record of the entity is under way, and keeps new ones out.
SELECT pg_advisory_xact_lock(hashtextextended('shadow.entity:' || $1, 0));

-- name: transition
-- One change of an entity's state, if it is still as expected.
UPDATE shadow.entity
   SET phase = $3, step = $4, stage = $5, epoch = epoch + 1, term = term + $6::int, stage_since = clock_timestamp(),
       backfill = coalesce($7, backfill), dual_since = coalesce(to_timestamp($8), dual_since), latch = $9
 WHERE entity = $1 AND epoch = $2
   AND (NOT $10 OR NOT EXISTS (SELECT FROM shadow.mark m WHERE m.entity = $1 AND m.closed_at IS NULL));

-- name: audit
-- The line that says who and why.
INSERT INTO shadow.audit (entity, who, phase, step, stage, why, evidence) VALUES ($1, $2, $3, $4, $5, $6, $7);

-- name: state_facts
-- What a process has seen, for the gates.
INSERT INTO shadow.fact (process, entity, name, value, at)
SELECT $1, u.entity, u.name, u.value, clock_timestamp()
  FROM unnest($2::text[], $3::text[], $4::float8[]) AS u(entity, name, value)
ON CONFLICT (entity, name, process) DO UPDATE SET value = excluded.value, at = excluded.at;

-- name: facts
-- What the fleet has seen of an entity. Calls that new does not serve count while a process that made them says so: with
-- the release that makes them gone, they are. What was recent is so while a process keeps saying so.
SELECT name, sum(value) AS total, max(value) AS worst FROM shadow.fact
 WHERE entity = $1 AND (name NOT LIKE 'unsupported:%' OR at > clock_timestamp() - interval '10 minutes')
   AND (name NOT LIKE 'recent:%' OR at > clock_timestamp() - interval '10 seconds')
 GROUP BY name;

-- name: save_job
-- How far a job has come.
INSERT INTO shadow.job (entity, job, state) VALUES ($1, $2, $3)
ON CONFLICT (entity, job) DO UPDATE SET state = excluded.state, updated_at = clock_timestamp();

-- name: load_job
-- Where a job left off.
SELECT state FROM shadow.job WHERE entity = $1 AND job = $2;
