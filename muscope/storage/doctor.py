"""The invariants of shared/reliability.md section 2, as SQL: each finds what must never be.

Every query gives one column, the subject of the sentence that it proves false.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import Connection, select, text

from muscope.spec import RunSpec
from muscope.storage import plugins
from muscope.storage.counting import planned_rows
from muscope.storage.measurements import tallies
from muscope.storage.tables import recording, run
from muscope.vocabulary import RunState

SHOWN = 5
"""Subjects named per violation; the rest is counted."""


@dataclass(frozen=True, slots=True)
class Law:
    """A sentence that holds, and the query for whatever breaks it."""

    sentence: str
    query: str


_OPEN = "('queued', 'running')"
_LAST_ATTEMPT = """
    JOIN bundle b ON b.id = r.bundle_id
    JOIN attempt a ON a.bundle_id = b.id AND a.attempt_no = b.attempt_no
"""
_NONFINITE = """(
    EXISTS (SELECT 1 FROM measurement m WHERE m.run_id = coalesce(r.reuses, r.id)
            AND m.attempt_id = r.accepted_attempt AND m.nonfinite <> 0)
    OR EXISTS (SELECT 1 FROM progress p WHERE p.run_id = coalesce(r.reuses, r.id)
               AND p.attempt_id = r.accepted_attempt AND p.nonfinite <> 0)
)"""

LAWS = (
    Law(
        "a bundle is running exactly while it holds a lease with an end and a worker",
        """SELECT id FROM bundle WHERE (state = 'running') <> (lease_token IS NOT NULL)
           OR (state = 'running') <> (lease_until IS NOT NULL)
           OR (state = 'running') <> (worker_id IS NOT NULL)""",
    ),
    Law(
        "a bundle is running exactly while its latest attempt is, and no other is",
        """SELECT b.id FROM bundle b
           LEFT JOIN attempt a ON a.bundle_id = b.id AND a.state = 'running'
           GROUP BY b.id, b.state, b.attempt_no
           HAVING count(a.id) <> CASE WHEN b.state = 'running' THEN 1 ELSE 0 END
               OR max(a.attempt_no) <> b.attempt_no""",
    ),
    Law(
        "the attempts of a bundle are numbered 1, 2, 3 … without a gap",
        """SELECT b.id FROM bundle b LEFT JOIN attempt a ON a.bundle_id = b.id
           GROUP BY b.id, b.attempt_no
           HAVING count(a.id) <> b.attempt_no OR coalesce(max(a.attempt_no), 0) <> b.attempt_no
               OR coalesce(min(a.attempt_no), 1) <> 1""",
    ),
    Law(
        "an attempt has an end exactly when it does not run",
        "SELECT id FROM attempt WHERE (state = 'running') <> (ended_at IS NULL)",
    ),
    Law(
        "an attempt that goes on from an earlier one of its bundle names it and the step",
        """SELECT a.id FROM attempt a LEFT JOIN attempt earlier ON earlier.id = a.resumed_from
           WHERE (a.resumed_from IS NULL) <> (a.resumed_step IS NULL)
              OR (a.resumed_from IS NOT NULL AND (earlier.id IS NULL
                  OR earlier.bundle_id <> a.bundle_id OR earlier.attempt_no >= a.attempt_no))""",
    ),
    Law(
        "a bundle has runs; they wait or run with it, and have ended when it has",
        f"""SELECT b.id FROM bundle b LEFT JOIN run r ON r.bundle_id = b.id
            WHERE r.id IS NULL OR (r.state IN {_OPEN} AND r.state <> b.state)
            UNION
            SELECT b.id FROM bundle b WHERE b.state IN {_OPEN}
            AND NOT EXISTS (SELECT 1 FROM run r WHERE r.bundle_id = b.id AND r.state = b.state)""",
    ),
    Law(
        "nothing waits in a study that was cancelled or deleted",
        """SELECT b.id FROM bundle b JOIN study s ON s.id = b.study_id
           WHERE s.intent <> 'open' AND (b.state = 'queued'
               OR (b.state = 'running' AND b.cancel_requested = 0))""",
    ),
    Law(
        "a run has an end exactly when its state is terminal",
        f"SELECT id FROM run WHERE (state IN {_OPEN}) <> (ended_at IS NULL)",
    ),
    Law(
        "a run that waits or runs has accepted nothing; a result has",
        f"""SELECT id FROM run WHERE (state IN {_OPEN} AND accepted_attempt IS NOT NULL)
            OR (state IN ('finished', 'diverged', 'skipped') AND accepted_attempt IS NULL)""",
    ),
    Law(
        "an accepted attempt is the latest of the run's own bundle",
        f"""SELECT r.id FROM run r {_LAST_ATTEMPT}
            WHERE r.accepted_attempt IS NOT NULL AND r.accepted_attempt <> a.id""",
    ),
    Law(
        "a run that ended with rows of its last attempt has accepted them, unless it was replaced",
        f"""SELECT r.id FROM run r {_LAST_ATTEMPT}
            WHERE r.state NOT IN {_OPEN} AND r.accepted_attempt IS NULL
            AND NOT EXISTS (SELECT 1 FROM run again WHERE again.rerun_of = r.id)
            AND EXISTS (SELECT 1 FROM measurement m
                        WHERE m.run_id = r.id AND m.attempt_id = a.id)""",
    ),
    Law(
        "a run that ended has as many rows as it says",
        f"""SELECT r.id FROM run r WHERE r.state NOT IN {_OPEN} AND coalesce(r.row_count, -1) <>
            (SELECT count(*) FROM measurement m
             WHERE m.run_id = coalesce(r.reuses, r.id) AND m.attempt_id = r.accepted_attempt)""",
    ),
    Law(
        "a recording that was closed has its batches 0, 1, 2 … and no more rows than they brought",
        """SELECT c.id FROM recording c
           LEFT JOIN recorded_batch b ON b.recording_id = c.id
           WHERE c.closing_digest IS NOT NULL
           GROUP BY c.id, c.attempt_id
           HAVING count(b.seq) <> coalesce(max(b.seq) + 1, 0) OR coalesce(sum(b.rows), 0) <
            (SELECT count(*) FROM measurement m WHERE m.attempt_id = c.attempt_id)""",
    ),
    Law(
        "a run diverged exactly when a value of it is not finite",
        f"""SELECT r.id FROM run r WHERE (r.state = 'diverged' AND NOT {_NONFINITE})
            OR (r.state IN ('finished', 'skipped') AND {_NONFINITE})""",
    ),
    Law(
        "a run that ran out of memory was alone in its bundle",
        """SELECT r.id FROM run r JOIN run other
           ON other.bundle_id = r.bundle_id AND other.id <> r.id
           WHERE r.state = 'out_of_memory'""",
    ),
    Law(
        "a run that was skipped is one of a search, says why, and has its losses up to a step",
        """SELECT r.id FROM run r JOIN study s ON s.id = r.study_id
           LEFT JOIN progress p ON p.run_id = r.id AND p.attempt_id = r.accepted_attempt
           WHERE r.state = 'skipped'
           GROUP BY r.id, r.error_text, s.kind
           HAVING r.error_text IS NULL OR s.kind <> 'lr_transfer'
               OR count(p.step) = 0 OR count(p.step) <> max(p.step) + 1""",
    ),
    Law(
        "readers see a measurement of one place in the grid once",
        """SELECT min(r.id) FROM run r JOIN measurement m
           ON m.run_id = coalesce(r.reuses, r.id) AND m.attempt_id = r.accepted_attempt
           JOIN tensor t ON t.id = m.tensor_id
           GROUP BY r.study_id, r.variant, r.width, r.depth, r.batch_size, r.octave, r.seed,
                    m.step, t.name, t.role, m.kind
           HAVING count(*) > 1""",
    ),
    Law(
        "a study has one run at each place of its grid, and none of a stage after its latest",
        """SELECT study_id FROM run WHERE rerun_of IS NULL
           GROUP BY study_id, variant, width, depth, batch_size, octave, seed, record, spec_digest
           HAVING count(*) > 1
           UNION
           SELECT r.study_id FROM run r JOIN study s ON s.id = r.study_id
           WHERE r.stage > s.stage""",
    ),
    Law(
        "run, bundle, tensor and attempt of a measurement belong to one study",
        """SELECT r.id FROM run r JOIN bundle b ON b.id = r.bundle_id
           WHERE r.reuses IS NULL AND b.study_id <> r.study_id
           UNION
           SELECT DISTINCT m.run_id FROM measurement m
           LEFT JOIN run r ON r.id = m.run_id
           LEFT JOIN tensor t ON t.id = m.tensor_id
           LEFT JOIN attempt a ON a.id = m.attempt_id
           LEFT JOIN bundle b ON b.id = a.bundle_id
           WHERE t.study_id IS NULL OR b.study_id IS NULL
              OR t.study_id <> r.study_id OR b.study_id <> r.study_id""",
    ),
    Law(
        "a run that is reused was trained by the study that is extended, and says the same of "
        "itself in both",
        """SELECT r.id FROM run r LEFT JOIN run t ON t.id = r.reuses
           LEFT JOIN study s ON s.id = r.study_id
           WHERE r.reuses IS NOT NULL AND (t.id IS NULL OR t.reuses IS NOT NULL
               OR s.extends IS NULL OR t.study_id = r.study_id OR t.spec_digest <> r.spec_digest
               OR t.state <> r.state OR r.state NOT IN ('finished', 'diverged')
               OR t.accepted_attempt <> r.accepted_attempt OR t.digest <> r.digest)""",
    ),
    Law(
        "the events of a study are numbered 1, 2, 3 … up to its event_seq",
        """SELECT s.id FROM study s LEFT JOIN event e ON e.study_id = s.id
           GROUP BY s.id, s.event_seq
           HAVING count(e.seq) <> s.event_seq OR coalesce(max(e.seq), 0) <> s.event_seq
               OR coalesce(min(e.seq), 1) <> 1""",
    ),
    Law(
        "the events of a run lead from nothing to its state, each from where the last one led",
        f"""SELECT id FROM (
              SELECT r.id, r.state, r.reuses, e.from_state, e.to_state,
                lag(e.to_state) OVER (PARTITION BY r.id ORDER BY e.seq) AS before,
                lead(e.seq) OVER (PARTITION BY r.id ORDER BY e.seq) AS next
              FROM run r LEFT JOIN event e
              ON e.study_id = r.study_id AND e.run_id = r.id AND e.kind = 'run_state'
            ) path
            WHERE to_state IS NULL
               OR coalesce(from_state, '') <> coalesce(before, '')
               OR (next IS NULL AND to_state <> state)
               OR from_state = to_state
               OR (from_state IS NOT NULL AND from_state NOT IN {_OPEN})
               OR (from_state IS NULL AND to_state NOT IN {_OPEN} AND reuses IS NULL)
               OR (from_state = 'queued' AND to_state IN ('finished', 'diverged', 'skipped'))""",
    ),
    Law(
        "a run has one terminal event when it has ended, and none before",
        f"""SELECT r.id FROM run r LEFT JOIN event e
            ON e.study_id = r.study_id AND e.run_id = r.id AND e.kind = 'run_state'
            AND e.to_state NOT IN {_OPEN}
            GROUP BY r.id, r.state
            HAVING count(e.seq) <> CASE WHEN r.state IN {_OPEN} THEN 0 ELSE 1 END""",
    ),
)


def violations(conn: Connection) -> list[str]:
    """Every broken law, with the measurements of every ended run read and compared."""
    return [*quick_violations(conn), *_wrong_results(conn)]


def quick_violations(conn: Connection) -> list[str]:
    """Every law that is broken, as a sentence with its first subjects."""
    found = []
    for law in LAWS:
        subjects = list(conn.execute(text(law.query)).scalars())
        if subjects:
            named = ", ".join(str(subject) for subject in sorted(set(subjects))[:SHOWN])
            more = f" and {len(subjects) - SHOWN} more" if len(subjects) > SHOWN else ""
            found.append(f"Not so for {named}{more}: {law.sentence}.")
    return found


def _wrong_results(conn: Connection) -> Iterator[str]:
    """Runs whose rows are not those that were counted and digested at their end."""
    recorded = set(conn.execute(select(recording.c.run_id)).scalars())
    query = select(run).where(run.c.accepted_attempt.is_not(None)).order_by(run.c.id)
    for row in conn.execute(query).all():
        holder = row.reuses or row.id
        tally = tallies(conn, row.accepted_attempt, [holder])[holder]
        if tally.hex() != row.digest:
            yield f"Run {row.id} has the digest {row.digest}, its rows have {tally.hex()}."
        if row.id in recorded:
            continue
        plugins.teach(conn, row.spec_json)
        spec = RunSpec.model_validate_json(row.spec_json)
        planned = planned_rows(spec, RunState(row.state))
        is_result = row.state in (RunState.FINISHED, RunState.DIVERGED, RunState.SKIPPED)
        if is_result and tally.count != planned:
            yield f"Run {row.id} is {row.state} with {tally.count} of {planned} measurements."
