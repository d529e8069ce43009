"""The set-based statements of the datasets app, apart from its verbs so that both can be read. Parameters are named.

Tables of apps further up (training) are only joined by name, for the provenance columns.
"""

from backend.catalog.clusters import SIDE

# Restricts a statement to some objects; NULL stands for all of them.
_HERE = "(%(objects)s::bigint[] IS NULL OR {table}.object_id = ANY(%(objects)s))"
_HERE_SAMPLE, _HERE_PAIR = _HERE.format(table="s"), _HERE.format(table="p")

# Comparisons of the batches that still count: an undo row takes back the last one before it. A row at running depth d
# is live when the depth never falls below d again.
_LIVE = """
steps AS (
  SELECT c.*, sum(CASE WHEN c.answer = 'undo' THEN -1 ELSE 1 END) OVER (PARTITION BY c.assignment_id ORDER BY c.seq) AS depth
  FROM annotation_comparison c JOIN annotation_assignment a ON a.id = c.assignment_id
  JOIN annotation_task t ON t.id = a.task_id
  WHERE a.batch_id = ANY(%(batches)s) AND a.state = 'submitted' AND {here}
), live AS (
  SELECT * FROM (
    SELECT s.*, min(s.depth) OVER (PARTITION BY s.assignment_id ORDER BY s.seq
                                   ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING) AS lowest FROM steps s
  ) marked WHERE answer <> 'undo' AND lowest >= depth
)""".replace("{here}", _HERE.format(table="t"))

# Brackets whose survivor may be used: rated at the bar or above (any survivor where the batch asks no rating), never
# called unusable, not sent back by a reviewer; where the batch asks for review, a rating counts once it is accepted or
# fixed. A reviewer's r stands for the annotator's.
_ACCEPTED = (
    _LIVE
    + """, accepted AS (
  SELECT a.id, a.batch_id, t.object_id, a.survivor_id, a.bracket, a.user_id, a.origin = 'simulation' AS simulated,
         CASE WHEN b.asks_rating THEN coalesce(review.r, rating.r) ELSE 1 END AS r, b.asks_alignment, b.asks_review
  FROM annotation_assignment a
  JOIN annotation_task t ON t.id = a.task_id
  JOIN catalog_batch b ON b.id = a.batch_id
  LEFT JOIN annotation_rating rating ON rating.assignment_id = a.id AND rating.candidate_id = a.survivor_id
  LEFT JOIN annotation_review review ON review.assignment_id = a.id
  WHERE a.batch_id = ANY(%(batches)s) AND a.stage = 'compare' AND a.state = 'submitted' AND a.survivor_id IS NOT NULL
    AND {here} AND (NOT b.asks_rating OR coalesce(review.r, rating.r) >= b.alpha)
    AND CASE WHEN b.asks_review AND b.asks_rating THEN review.verdict IN ('accept', 'fix')
             ELSE review.verdict IS DISTINCT FROM 'return' END
    AND NOT EXISTS (SELECT 1 FROM live l WHERE l.assignment_id = a.id AND l.answer = 'neither'
                    AND a.survivor_id IN (l.left_id, l.right_id))
)""".replace("{here}", _HERE.format(table="t"))
)

# What samples there should be: a usable survivor or an approved artist's mesh, and where the batch asks for it a pose
# that was submitted (and accepted, where a reviewer must). Of several, a person's before a simulation's, the latest
# pose, the first rating.
_WANTED = (
    _ACCEPTED
    + """, chosen AS (
  SELECT id, batch_id, object_id, survivor_id AS candidate_id, simulated, r, asks_alignment, asks_review FROM accepted
  UNION ALL
  SELECT a.id, t.batch_id, t.object_id, c.id, a.origin = 'simulation', 1, b.asks_alignment, b.asks_review
  FROM art3do_artsubmission u
  JOIN annotation_assignment a ON a.id = u.assignment_id
  JOIN annotation_task t ON t.id = u.task_id
  JOIN catalog_batch b ON b.id = t.batch_id
  JOIN proposals_candidate c ON c.batch_id = t.batch_id AND c.object_id = t.object_id AND c.mesh_id = u.mesh_id
  JOIN proposals_proposer p ON p.id = c.proposer_id AND p.kind = 'artist'
  WHERE t.batch_id = ANY(%(batches)s) AND u.state = 'approved' AND {here}
), placed AS (
  SELECT DISTINCT ON (t.batch_id, t.object_id, l.candidate_id) t.batch_id, t.object_id, l.candidate_id, l.id,
         l."R", l.t, l.s, p.source, a.origin = 'simulation' AS simulated
  FROM annotation_alignment l
  JOIN annotation_assignment a ON a.id = l.assignment_id
  JOIN annotation_task t ON t.id = a.task_id
  JOIN catalog_batch b ON b.id = t.batch_id
  JOIN catalog_pointmap p ON p.id = l.pointmap_id
  LEFT JOIN annotation_review v ON v.assignment_id = a.id
  WHERE t.batch_id = ANY(%(batches)s) AND a.stage = 'align' AND a.state = 'submitted' AND {here}
    AND CASE WHEN b.asks_review THEN v.verdict IN ('accept', 'fix') ELSE v.verdict IS DISTINCT FROM 'return' END
  ORDER BY t.batch_id, t.object_id, l.candidate_id, a.origin = 'simulation', a.id DESC, l.version DESC
), wanted AS (
  SELECT DISTINCT ON (c.batch_id, c.object_id, c.candidate_id) c.batch_id, c.object_id, c.candidate_id,
         c.id AS assignment_id, p.id AS alignment_id, c.r, p."R", p.t, p.s, coalesce(p.source, '') AS pointmap_source,
         c.simulated OR coalesce(p.simulated, false) AS simulated
  FROM chosen c
  LEFT JOIN placed p ON p.batch_id = c.batch_id AND p.object_id = c.object_id AND p.candidate_id = c.candidate_id
                    AND c.asks_alignment
  WHERE NOT c.asks_alignment OR p.id IS NOT NULL
  ORDER BY c.batch_id, c.object_id, c.candidate_id, c.simulated, c.id
)""".replace("{here}", _HERE.format(table="t"))
)

_SAMPLE_RELEASED = "EXISTS (SELECT 1 FROM datasets_release_samples rs WHERE rs.sample_id = s.id)"
_PAIR_RELEASED = "EXISTS (SELECT 1 FROM datasets_release_pairs rp WHERE rp.preferencepair_id = p.id)"

# What the answers no longer give: a row in no release is deleted (or brought up to date by ADD, where its key stays); one
# that is in a release is withdrawn, and where it only changed ADD puts its successor beside it.
DROP_SAMPLES = f"""
WITH {_WANTED}, current AS (
  SELECT s.*, {_SAMPLE_RELEASED} AS released FROM datasets_sample s
  WHERE s.batch_id = ANY(%(batches)s) AND {_HERE_SAMPLE} AND s.withdrawn_at IS NULL
), stale AS (
  SELECT s.id, s.released FROM current s
  LEFT JOIN wanted w ON w.batch_id = s.batch_id AND w.object_id = s.object_id AND w.candidate_id = s.candidate_id
  WHERE w.batch_id IS NULL OR (s.released AND (s.assignment_id, s.alignment_id, s.r, s.simulated)
                               IS DISTINCT FROM (w.assignment_id, w.alignment_id, w.r, w.simulated))
), dropped AS (
  DELETE FROM datasets_sample s USING stale WHERE s.id = stale.id AND NOT stale.released RETURNING 1
), withdrawn AS (
  UPDATE datasets_sample s SET withdrawn_at = now() FROM stale WHERE s.id = stale.id AND stale.released RETURNING 1
)
SELECT (SELECT count(*) FROM dropped), (SELECT count(*) FROM withdrawn)
"""

ADD_SAMPLES = f"""
WITH {_WANTED}
INSERT INTO datasets_sample AS s (batch_id, object_id, candidate_id, assignment_id, alignment_id, r, "R", t, s,
                                  pointmap_source, simulated, created_at)
SELECT batch_id, object_id, candidate_id, assignment_id, alignment_id, r, "R", t, s, pointmap_source, simulated, now()
FROM wanted ORDER BY object_id, candidate_id
ON CONFLICT (batch_id, object_id, candidate_id) WHERE withdrawn_at IS NULL DO UPDATE
  SET assignment_id = EXCLUDED.assignment_id, alignment_id = EXCLUDED.alignment_id, r = EXCLUDED.r, "R" = EXCLUDED."R",
      t = EXCLUDED.t, s = EXCLUDED.s, pointmap_source = EXCLUDED.pointmap_source, simulated = EXCLUDED.simulated
  WHERE (s.assignment_id, s.alignment_id, s.r, s.simulated)
        IS DISTINCT FROM (EXCLUDED.assignment_id, EXCLUDED.alignment_id, EXCLUDED.r, EXCLUDED.simulated)
    AND NOT {_SAMPLE_RELEASED}
"""

# Accuracy of a person's answers: gold pairs and practice counted onto a prior of PRIOR_RIGHT in PRIOR_ANSWERS, which is
# the 0.75 that two annotators agree in (paper E.7), worth the twelve gold pairs of a test. Never below a coin's.
PRIOR_RIGHT, PRIOR_ANSWERS = 9, 12
SUREST = 0.98
# A released pair is replaced only where its weight moved by this much: people's accuracies move a little all the time.
WEIGHT_STEP = 0.05

# d+ over every other candidate of the frozen bracket. What tied with the winner, or with what tied with it, is not worse
# than it. Each pair once, a person's before a simulation's.
#
# Its weight is the posterior that chosen is better than rejected, given every answer about the two: a bracket's survivor
# stands for one vote over each candidate of the bracket that it did not tie with, every other decided comparison for one
# vote, the same vote of one bracket counts once. With a flat prior and independent people of accuracy a the log-odds are
# the sum of +-log(a / (1 - a)) over the votes (one-coin Dawid-Skene 1979). People's pairs hear people only. At 0.5 or
# below the pair is left out.
_PAIRS = (
    _ACCEPTED
    + """, answered AS (
  SELECT a.id, a.batch_id, t.object_id, a.survivor_id, a.bracket, a.user_id, a.origin = 'simulation' AS simulated
  FROM annotation_assignment a
  JOIN annotation_task t ON t.id = a.task_id
  LEFT JOIN annotation_review review ON review.assignment_id = a.id
  WHERE a.batch_id = ANY(%(batches)s) AND a.stage = 'compare' AND a.state = 'submitted' AND {here}
    AND review.verdict IS DISTINCT FROM 'return'
), ties AS (
  SELECT assignment_id, left_id, right_id FROM live WHERE answer = 'equal'
), tied AS (
  SELECT id AS assignment_id, survivor_id AS candidate_id FROM answered
  UNION
  SELECT t.assignment_id, CASE WHEN l.left_id = t.candidate_id THEN l.right_id ELSE l.left_id END
  FROM tied t JOIN ties l ON l.assignment_id = t.assignment_id AND t.candidate_id IN (l.left_id, l.right_id)
), votes AS (
  SELECT a.id, a.batch_id, a.object_id, a.user_id, a.simulated, a.survivor_id AS better, other.id AS worse
  FROM answered a CROSS JOIN LATERAL unnest(a.bracket) AS other(id)
  WHERE a.survivor_id IS NOT NULL
    AND NOT EXISTS (SELECT 1 FROM tied t WHERE t.assignment_id = a.id AND t.candidate_id = other.id)
  UNION
  SELECT a.id, a.batch_id, a.object_id, a.user_id, a.simulated,
         CASE l.answer WHEN 'left' THEN l.left_id ELSE l.right_id END,
         CASE l.answer WHEN 'left' THEN l.right_id ELSE l.left_id END
  FROM answered a JOIN live l ON l.assignment_id = a.id AND l.answer IN ('left', 'right')
), voters AS (
  SELECT DISTINCT user_id FROM votes
), gold AS (
  SELECT user_id, count(*) AS n, count(*) FILTER (WHERE is_right) AS n_right FROM (
    SELECT p.user_id, p."right" AS is_right FROM annotation_practiceanswer p JOIN voters USING (user_id)
    UNION ALL
    SELECT a.user_id, c.answer = CASE WHEN c.left_id = g.better_id THEN 'left' ELSE 'right' END
    FROM annotation_goldpair g
    JOIN annotation_comparison c ON c.left_id IN (g.better_id, g.worse_id) AND c.right_id IN (g.better_id, g.worse_id)
    JOIN annotation_assignment a ON a.id = c.assignment_id
    JOIN voters ON voters.user_id = a.user_id
    WHERE c.answer IN ('left', 'right', 'equal')
  ) given GROUP BY user_id
), skill AS (
  SELECT user_id, least(greatest(({prior_right} + coalesce(n_right, 0)) / ({prior_answers} + coalesce(n, 0)), 0.5), {surest})
         AS accuracy
  FROM voters LEFT JOIN gold USING (user_id)
), evidence AS (
  SELECT batch_id, object_id, first, second, coalesce(sum(odds), 0) AS everyone,
         coalesce(sum(odds) FILTER (WHERE NOT simulated), 0) AS people
  FROM (
    SELECT v.batch_id, v.object_id, v.simulated, least(v.better, v.worse) AS first, greatest(v.better, v.worse) AS second,
           CASE WHEN v.better < v.worse THEN 1 ELSE -1 END * ln(k.accuracy / (1 - k.accuracy)) AS odds
    FROM votes v JOIN skill k USING (user_id)
  ) counted GROUP BY batch_id, object_id, first, second
), named AS (
  SELECT DISTINCT ON (a.batch_id, a.object_id, a.survivor_id, other.id)
         a.id AS assignment_id, a.batch_id, a.object_id, a.survivor_id AS chosen_id, other.id AS rejected_id, a.simulated
  FROM accepted a CROSS JOIN LATERAL unnest(a.bracket) AS other(id)
  WHERE NOT EXISTS (SELECT 1 FROM tied t WHERE t.assignment_id = a.id AND t.candidate_id = other.id)
  ORDER BY a.batch_id, a.object_id, a.survivor_id, other.id, a.simulated, a.id
), preferred AS (
  SELECT * FROM (
    SELECT n.*, round((1 / (1 + exp(-CASE WHEN n.chosen_id < n.rejected_id THEN 1 ELSE -1 END
                                    * CASE WHEN n.simulated THEN e.everyone ELSE e.people END)))::numeric, 4)::float8 AS weight
    FROM named n
    JOIN evidence e ON e.batch_id = n.batch_id AND e.object_id = n.object_id
                   AND e.first = least(n.chosen_id, n.rejected_id) AND e.second = greatest(n.chosen_id, n.rejected_id)
  ) weighed WHERE weight > 0.5
)"""
    .replace("{here}", _HERE.format(table="t"))
    .replace("{prior_right}", f"{PRIOR_RIGHT}::float8")
    .replace("{prior_answers}", str(PRIOR_ANSWERS))
    .replace("{surest}", str(SUREST))
)

DROP_PAIRS = f"""
WITH RECURSIVE {_PAIRS}, current AS (
  SELECT p.*, {_PAIR_RELEASED} AS released FROM datasets_preferencepair p
  WHERE p.batch_id = ANY(%(batches)s) AND {_HERE_PAIR} AND p.withdrawn_at IS NULL
), stale AS (
  SELECT p.id, p.released FROM current p
  LEFT JOIN preferred w ON w.assignment_id = p.assignment_id AND w.chosen_id = p.chosen_id AND w.rejected_id = p.rejected_id
  WHERE w.batch_id IS NULL OR (p.released AND abs(w.weight - p.weight) >= {WEIGHT_STEP})
), dropped AS (
  DELETE FROM datasets_preferencepair p USING stale WHERE p.id = stale.id AND NOT stale.released RETURNING 1
), withdrawn AS (
  UPDATE datasets_preferencepair p SET withdrawn_at = now() FROM stale WHERE p.id = stale.id AND stale.released RETURNING 1
)
SELECT (SELECT count(*) FROM dropped), (SELECT count(*) FROM withdrawn)
"""

ADD_PAIRS = f"""
WITH RECURSIVE {_PAIRS}
INSERT INTO datasets_preferencepair AS p
  (batch_id, object_id, chosen_id, rejected_id, assignment_id, weight, simulated, created_at)
SELECT batch_id, object_id, chosen_id, rejected_id, assignment_id, weight, simulated, now() FROM preferred
ORDER BY object_id, assignment_id, rejected_id
ON CONFLICT (assignment_id, chosen_id, rejected_id) WHERE withdrawn_at IS NULL DO UPDATE SET weight = EXCLUDED.weight
  WHERE p.weight <> EXCLUDED.weight AND NOT {_PAIR_RELEASED}
"""

# A release's rows, chosen inside its snapshot: what the filters let through, less what the releases it builds on hold.
# Nothing of a removed photo or of a withdrawn candidate.
_LET_THROUGH = {
    "sft": """
SELECT s.id, s.object_id FROM datasets_sample s
JOIN proposals_candidate c ON c.id = s.candidate_id AND c.state = 'ready'
JOIN catalog_targetobject o ON o.id = s.object_id AND (NOT %(aesthetic)s OR o.aesthetic)
JOIN catalog_image i ON i.id = o.image_id AND i.removed_at IS NULL
WHERE s.batch_id = ANY(%(batches)s) AND s.withdrawn_at IS NULL AND s.r >= %(min_rating)s
  AND (%(include_simulated)s OR NOT s.simulated)
""",
    "dpo": """
SELECT p.id, p.object_id FROM datasets_preferencepair p
JOIN proposals_candidate c ON c.id = p.chosen_id AND c.state = 'ready'
JOIN proposals_candidate q ON q.id = p.rejected_id AND q.state = 'ready'
JOIN proposals_proposer m ON m.id = q.proposer_id AND (NOT %(own_negatives)s OR m.kind = ANY(%(own_models)s))
JOIN catalog_targetobject o ON o.id = p.object_id AND (NOT %(aesthetic)s OR o.aesthetic)
JOIN catalog_image i ON i.id = o.image_id AND i.removed_at IS NULL
LEFT JOIN annotation_rating r ON r.assignment_id = p.assignment_id
LEFT JOIN annotation_review v ON v.assignment_id = p.assignment_id
WHERE p.batch_id = ANY(%(batches)s) AND p.withdrawn_at IS NULL AND coalesce(v.r, r.r, 1) >= %(min_rating)s
  AND (%(include_simulated)s OR NOT p.simulated)
""",
}
# What the chain of bases holds: the release nearest to this one that added or removed a row decides, where it did both it
# is there. `turned`: those of it that are train now and may have been written as validation; they are taken back and
# written again. The ten minutes are for a photo that turned in a transaction that its release did not see.
_CHOSEN = """
WITH RECURSIVE chain AS (
  SELECT base_id AS id, 1 AS depth FROM datasets_release WHERE id = %(release)s AND base_id IS NOT NULL
  UNION ALL
  SELECT r.base_id, c.depth + 1 FROM chain c JOIN datasets_release r ON r.id = c.id WHERE r.base_id IS NOT NULL
), held AS (
  SELECT id, min(added) AS depth FROM (
    SELECT l.{column} AS id, c.depth AS added, NULL::int AS removed FROM chain c JOIN datasets_release_{table} l ON l.release_id = c.id
    UNION ALL
    SELECT l.{column}, NULL, c.depth FROM chain c JOIN datasets_release_removed_{table} l ON l.release_id = c.id
  ) events GROUP BY id HAVING min(added) <= coalesce(min(removed), 2147483647)
), turned AS (
  SELECT h.id FROM catalog_image i JOIN catalog_targetobject o ON o.image_id = i.id JOIN datasets_{row} s ON s.object_id = o.id
  JOIN held h ON h.id = s.id JOIN chain c ON c.depth = h.depth JOIN datasets_release r ON r.id = c.id
  WHERE i.turned_at IS NOT NULL AND i.turned_at > r.created_at - interval '10 minutes'
), let_through AS ({let_through})"""
_LINKS = {"sft": ("sample", "samples", "sample_id"), "dpo": ("preferencepair", "pairs", "preferencepair_id")}


def _chosen(kind: str) -> str:
    row, table, column = _LINKS[kind]
    return _CHOSEN.format(row=row, table=table, column=column, let_through=_LET_THROUGH[kind])


FREEZE = {
    kind: f"""{_chosen(kind)}
INSERT INTO datasets_release_{table} (release_id, {column})
SELECT %(release)s, w.id FROM let_through w LEFT JOIN held h ON h.id = w.id LEFT JOIN turned t ON t.id = w.id
WHERE h.id IS NULL OR t.id IS NOT NULL ORDER BY w.object_id, w.id
"""
    for kind, (_row, table, column) in _LINKS.items()
}
# Rows of its bases that the release takes back.
FREEZE_REMOVED = {
    kind: f"""{_chosen(kind)}
INSERT INTO datasets_release_removed_{table} (release_id, {column})
SELECT %(release)s, h.id FROM held h LEFT JOIN let_through w ON w.id = h.id LEFT JOIN turned t ON t.id = h.id
WHERE w.id IS NULL OR t.id IS NOT NULL ORDER BY h.id
"""
    for kind, (_row, table, column) in _LINKS.items()
}
THAW = {
    kind: f"""
WITH rows AS (DELETE FROM datasets_release_{table} WHERE release_id = %(release)s)
DELETE FROM datasets_release_removed_{table} WHERE release_id = %(release)s
"""
    for kind, (_row, table, _column) in _LINKS.items()
}
# A photo of the chosen rows that was removed since they were chosen.
REMOVED_MEANWHILE = {
    kind: f"""
SELECT i.name FROM catalog_image i JOIN catalog_targetobject o ON o.image_id = i.id
JOIN datasets_{row} s ON s.object_id = o.id JOIN datasets_release_{table} l ON l.{column} = s.id
WHERE i.removed_at IS NOT NULL AND l.release_id = %(release)s LIMIT 1
"""
    for kind, (row, table, column) in _LINKS.items()
}
# The rows that it takes back, for the writer: id, object, candidates (sft: candidate_id; dpo: chosen_id, rejected_id) and why.
_WHY = """CASE WHEN i.removed_at IS NOT NULL THEN 'image removed' WHEN {row}.withdrawn_at IS NOT NULL THEN 'answers changed'
            WHEN {withdrawn} THEN 'candidate withdrawn'
            WHEN EXISTS (SELECT 1 FROM datasets_release_{link} l WHERE l.release_id = %(release)s AND l.{column} = {row}.id)
            THEN 'now train' ELSE 'filtered out' END AS reason"""
REMOVED = {
    "sft": f"""
SELECT s.id, s.object_id, s.candidate_id, {_WHY.format(row="s", link="samples", column="sample_id", withdrawn="c.state <> 'ready'")}
FROM datasets_release_removed_samples rs
JOIN datasets_sample s ON s.id = rs.sample_id
JOIN proposals_candidate c ON c.id = s.candidate_id
JOIN catalog_targetobject o ON o.id = s.object_id
JOIN catalog_image i ON i.id = o.image_id
WHERE rs.release_id = %(release)s ORDER BY s.object_id, s.id
""",
    "dpo": f"""
SELECT p.id, p.object_id, p.chosen_id, p.rejected_id,
       {_WHY.format(row="p", link="pairs", column="preferencepair_id", withdrawn="'withdrawn' IN (c.state, q.state)")}
FROM datasets_release_removed_pairs rp
JOIN datasets_preferencepair p ON p.id = rp.preferencepair_id
JOIN proposals_candidate c ON c.id = p.chosen_id
JOIN proposals_candidate q ON q.id = p.rejected_id
JOIN catalog_targetobject o ON o.id = p.object_id
JOIN catalog_image i ON i.id = o.image_id
WHERE rp.release_id = %(release)s ORDER BY p.object_id, p.id
""",
}

# What a release says, one row a line, for COPY.
ROWS = {
    "sft": """
SELECT s.id AS number, s.object_id, s.candidate_id, s."R", s.t, s.s, s.r, b.alpha, s.simulated, s.pointmap_source AS placed_on,
       l.pointmap_id AS placed_pointmap, b.name AS batch, s.assignment_id AS assignment, s.alignment_id AS alignment,
       a.user_id AS person, l.by_id AS aligner, extract(epoch FROM s.created_at)::float8 AS created
FROM datasets_release_samples rs
JOIN datasets_sample s ON s.id = rs.sample_id
JOIN catalog_batch b ON b.id = s.batch_id
JOIN annotation_assignment a ON a.id = s.assignment_id
LEFT JOIN annotation_alignment l ON l.id = s.alignment_id
WHERE rs.release_id = %(release)s ORDER BY s.object_id, s.id
""",
    "dpo": """
SELECT p.id AS number, p.object_id, p.chosen_id, p.rejected_id, p.weight, p.simulated, coalesce(v.r, r.r) AS r, b.alpha,
       b.name AS batch, p.assignment_id AS assignment, a.user_id AS person, extract(epoch FROM p.created_at)::float8 AS created
FROM datasets_release_pairs rp
JOIN datasets_preferencepair p ON p.id = rp.preferencepair_id
JOIN catalog_batch b ON b.id = p.batch_id
JOIN annotation_assignment a ON a.id = p.assignment_id
LEFT JOIN annotation_rating r ON r.assignment_id = p.assignment_id
LEFT JOIN annotation_review v ON v.assignment_id = p.assignment_id
WHERE rp.release_id = %(release)s ORDER BY p.object_id, p.id
""",
}

# Objects with the pointmap that their (latest) released pose stands on, and candidates, each as often as it comes.
_TARGETS = {
    "sft": """SELECT s.object_id, max(l.pointmap_id) AS pointmap_id FROM datasets_release_samples rs
JOIN datasets_sample s ON s.id = rs.sample_id LEFT JOIN annotation_alignment l ON l.id = s.alignment_id
WHERE rs.release_id = %(release)s GROUP BY s.object_id""",
    "dpo": """SELECT DISTINCT p.object_id, NULL::bigint AS pointmap_id FROM datasets_release_pairs rp
JOIN datasets_preferencepair p ON p.id = rp.preferencepair_id WHERE rp.release_id = %(release)s""",
}
_MESHES = {
    "sft": """SELECT s.candidate_id FROM datasets_release_samples rs
JOIN datasets_sample s ON s.id = rs.sample_id WHERE rs.release_id = %(release)s""",
    "dpo": """SELECT unnest(ARRAY[p.chosen_id, p.rejected_id]) AS candidate_id FROM datasets_release_pairs rp
JOIN datasets_preferencepair p ON p.id = rp.preferencepair_id WHERE rp.release_id = %(release)s""",
}

# The pointmap of an object: the one its released pose stands on, else sensor before render, model, fallback.
_OBJECTS = """
SELECT o.id, o.category, i.licence, i.attribution, i.consent, i.cluster, {side} AS split, o.aesthetic,
       (i.looks->>'brightness')::float8 AS brightness, (i.looks->>'contrast')::float8 AS contrast,
       (i.looks->>'colourfulness')::float8 AS colourfulness, (i.looks->>'sharpness')::float8 AS sharpness,
       i.width, i.height, i.blob_id AS original, i.display_id AS image, d.size AS image_size, d.media_type AS image_type,
       o.mask_id AS mask, k.size AS mask_size, p.id AS pointmap_id, p.blob_id AS pointmap, q.size AS pointmap_size,
       p.source AS pointmap_source, p.metric, p.camera
FROM ({targets}) g
JOIN catalog_targetobject o ON o.id = g.object_id
JOIN catalog_image i ON i.id = o.image_id
JOIN backend_blob d ON d.sha256 = i.display_id
JOIN backend_blob k ON k.sha256 = o.mask_id
LEFT JOIN LATERAL (
  SELECT c.* FROM catalog_pointmap c WHERE c.image_id = i.id
  ORDER BY c.id IS NOT DISTINCT FROM g.pointmap_id DESC, array_position(ARRAY['sensor', 'render', 'model', 'fallback'],
           c.source::text), c.id DESC LIMIT 1
) p ON true
LEFT JOIN backend_blob q ON q.sha256 = p.blob_id
ORDER BY o.id
"""
OBJECTS = {kind: _OBJECTS.format(targets=targets, side=SIDE) for kind, targets in _TARGETS.items()}

_CANDIDATES = """
SELECT c.id, c.object_id, c.seed, c.job_id AS job, c."R", c.t, c.s, c.pointmap_source,
       p.name AS proposer, k.name AS checkpoint, k.weights_id AS weights, m.blob_id AS mesh, b.size AS mesh_size,
       m.triangles, m.licence, m.attribution, CASE WHEN p.kind = 'artist' THEN 'art3do' ELSE 'mitl3do' END AS data_set
FROM (SELECT DISTINCT candidate_id FROM ({meshes}) m) g
JOIN proposals_candidate c ON c.id = g.candidate_id
JOIN proposals_proposer p ON p.id = c.proposer_id
LEFT JOIN training_checkpoint k ON k.proposer_id = p.id
JOIN catalog_mesh m ON m.id = c.mesh_id
JOIN backend_blob b ON b.sha256 = m.blob_id
ORDER BY c.object_id, c.id
"""
CANDIDATES = {kind: _CANDIDATES.format(meshes=meshes) for kind, meshes in _MESHES.items()}

# The releases that one builds on, nearest first (distance 1, 2, ...), and those that build directly on it (distance -1).
LINEAGE = """
WITH RECURSIVE chain AS (
  SELECT base_id AS id, 1 AS distance FROM datasets_release WHERE id = %(release)s
  UNION ALL
  SELECT r.base_id, c.distance + 1 FROM chain c JOIN datasets_release r ON r.id = c.id
)
SELECT r.id, r.sha256, r.rows, c.distance, r.created_at FROM chain c JOIN datasets_release r ON r.id = c.id
UNION ALL
SELECT id, sha256, rows, -1, created_at FROM datasets_release WHERE base_id = %(release)s AND state = 'frozen'
ORDER BY distance, id
"""

COMPARE = {
    "sft": ("datasets_release_samples", "sample_id"),
    "dpo": ("datasets_release_pairs", "preferencepair_id"),
}
# Objects of open batches that were answered last, by the newest assignments of each stage.
RECENT = """
SELECT DISTINCT b.id, t.object_id FROM catalog_batch b
CROSS JOIN (VALUES ('compare'), ('align'), ('art')) AS stages(stage)
CROSS JOIN LATERAL (
  SELECT a.task_id FROM annotation_assignment a
  WHERE a.batch_id = b.id AND a.stage = stages.stage AND a.state = 'submitted' ORDER BY a.id DESC LIMIT %(limit)s
) newest
JOIN annotation_task t ON t.id = newest.task_id
WHERE b.state = 'open'
"""
DIFFERENCE = """
SELECT count(*) FILTER (WHERE theirs.{column} IS NULL), count(*) FILTER (WHERE mine.{column} IS NULL),
       count(*) FILTER (WHERE mine.{column} = theirs.{column})
FROM (SELECT {column} FROM {table} WHERE release_id = %(mine)s) mine
FULL JOIN (SELECT {column} FROM {table} WHERE release_id = %(theirs)s) theirs USING ({column})
"""
