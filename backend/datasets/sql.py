"""The set-based statements of the datasets app, apart from its verbs so that both can be read. Parameters are named.

Tables of apps further up (training) are only joined by name, for the provenance columns.
"""

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

DROP_SAMPLES = f"""
WITH {_WANTED}
DELETE FROM datasets_sample s WHERE s.batch_id = ANY(%(batches)s) AND {_HERE_SAMPLE} AND NOT {_SAMPLE_RELEASED}
  AND NOT EXISTS (SELECT 1 FROM wanted w WHERE w.batch_id = s.batch_id AND w.object_id = s.object_id
                  AND w.candidate_id = s.candidate_id)
"""

ADD_SAMPLES = f"""
WITH {_WANTED}
INSERT INTO datasets_sample AS s (batch_id, object_id, candidate_id, assignment_id, alignment_id, r, "R", t, s,
                                  pointmap_source, simulated, created_at)
SELECT batch_id, object_id, candidate_id, assignment_id, alignment_id, r, "R", t, s, pointmap_source, simulated, now()
FROM wanted ORDER BY object_id, candidate_id
ON CONFLICT (batch_id, object_id, candidate_id) DO UPDATE
  SET assignment_id = EXCLUDED.assignment_id, alignment_id = EXCLUDED.alignment_id, r = EXCLUDED.r, "R" = EXCLUDED."R",
      t = EXCLUDED.t, s = EXCLUDED.s, pointmap_source = EXCLUDED.pointmap_source, simulated = EXCLUDED.simulated
  WHERE (s.assignment_id, s.alignment_id, s.r, s.simulated)
        IS DISTINCT FROM (EXCLUDED.assignment_id, EXCLUDED.alignment_id, EXCLUDED.r, EXCLUDED.simulated)
    AND NOT {_SAMPLE_RELEASED}
"""

# d+ over every other candidate of the frozen bracket; what tied with the winner is not worse than it.
_PAIRS = (
    _ACCEPTED
    + """, preferred AS (
  SELECT a.id AS assignment_id, a.batch_id, a.object_id, a.survivor_id AS chosen_id, other.id AS rejected_id, a.simulated
  FROM accepted a CROSS JOIN LATERAL unnest(a.bracket) AS other(id)
  WHERE other.id <> a.survivor_id
    AND NOT EXISTS (SELECT 1 FROM live l WHERE l.assignment_id = a.id AND l.answer = 'equal'
                    AND a.survivor_id IN (l.left_id, l.right_id) AND other.id IN (l.left_id, l.right_id))
)"""
)

DROP_PAIRS = f"""
WITH {_PAIRS}
DELETE FROM datasets_preferencepair p WHERE p.batch_id = ANY(%(batches)s) AND {_HERE_PAIR} AND NOT {_PAIR_RELEASED}
  AND NOT EXISTS (SELECT 1 FROM preferred w WHERE w.assignment_id = p.assignment_id AND w.chosen_id = p.chosen_id
                  AND w.rejected_id = p.rejected_id)
"""

ADD_PAIRS = f"""
WITH {_PAIRS}
INSERT INTO datasets_preferencepair (batch_id, object_id, chosen_id, rejected_id, assignment_id, weight, simulated, created_at)
SELECT batch_id, object_id, chosen_id, rejected_id, assignment_id, 1, simulated, now() FROM preferred
ORDER BY object_id, assignment_id, rejected_id
ON CONFLICT (assignment_id, chosen_id, rejected_id) DO NOTHING
"""

# A release's rows, chosen inside its snapshot.
FREEZE = {
    "sft": """
INSERT INTO datasets_release_samples (release_id, sample_id)
SELECT %(release)s, s.id FROM datasets_sample s
WHERE s.batch_id = ANY(%(batches)s) AND s.r >= %(min_rating)s AND (%(include_simulated)s OR NOT s.simulated)
ORDER BY s.object_id, s.id
""",
    "dpo": """
INSERT INTO datasets_release_pairs (release_id, preferencepair_id)
SELECT %(release)s, p.id FROM datasets_preferencepair p
LEFT JOIN annotation_rating r ON r.assignment_id = p.assignment_id
LEFT JOIN annotation_review v ON v.assignment_id = p.assignment_id
WHERE p.batch_id = ANY(%(batches)s) AND coalesce(v.r, r.r, 1) >= %(min_rating)s AND (%(include_simulated)s OR NOT p.simulated)
ORDER BY p.object_id, p.id
""",
}
THAW = {
    "sft": "DELETE FROM datasets_release_samples WHERE release_id = %(release)s",
    "dpo": "DELETE FROM datasets_release_pairs WHERE release_id = %(release)s",
}

# What a release says, one row a line, for COPY. Beside the columns stand JSON texts: what a member's facts are, and where
# a row came from. `number` is the row's own id.
_KEY = "'{letter}' || lpad({id}::text, greatest(9, length({id}::text)), '0')"
_OBJECT_KEY, _CANDIDATE_KEY = (
    _KEY.format(letter=letter, id=name) for letter, name in (("o", "o.id"), ("c", "c.id"))
)

ROWS = {
    "sft": """
SELECT s.id AS number, s.object_id, s.candidate_id, s."R", s.t, s.s, s.r, b.alpha, s.simulated, s.pointmap_source AS placed_on,
       l.pointmap_id AS placed_pointmap, b.name AS batch, people.ids AS annotators,
       json_build_object('batch', b.name, 'assignment', s.assignment_id, 'alignment', s.alignment_id, 'annotators',
                         people.ids) AS origin, extract(epoch FROM s.created_at) AS created
FROM datasets_release_samples rs
JOIN datasets_sample s ON s.id = rs.sample_id
JOIN catalog_batch b ON b.id = s.batch_id
JOIN annotation_assignment a ON a.id = s.assignment_id
LEFT JOIN annotation_alignment l ON l.id = s.alignment_id
CROSS JOIN LATERAL (SELECT CASE WHEN l.by_id IS NULL OR l.by_id = a.user_id THEN ARRAY[a.user_id]
                                ELSE ARRAY[least(l.by_id, a.user_id), greatest(l.by_id, a.user_id)] END AS ids) people
WHERE rs.release_id = %(release)s ORDER BY s.object_id, s.id
""",
    "dpo": """
SELECT p.id AS number, p.object_id, p.chosen_id, p.rejected_id, p.weight, p.simulated, coalesce(v.r, r.r) AS r, b.alpha,
       b.name AS batch, ARRAY[a.user_id] AS annotators,
       json_build_object('batch', b.name, 'assignment', p.assignment_id, 'annotators', ARRAY[a.user_id]) AS origin,
       extract(epoch FROM p.created_at) AS created
FROM datasets_release_pairs rp
JOIN datasets_preferencepair p ON p.id = rp.preferencepair_id
JOIN catalog_batch b ON b.id = p.batch_id
JOIN annotation_assignment a ON a.id = p.assignment_id
LEFT JOIN annotation_rating r ON r.assignment_id = p.assignment_id
LEFT JOIN annotation_review v ON v.assignment_id = p.assignment_id
WHERE rp.release_id = %(release)s ORDER BY p.object_id, p.id
""",
}

_MEMBERS = {
    "sft": """SELECT s.object_id, s.candidate_id, l.pointmap_id FROM datasets_release_samples rs
JOIN datasets_sample s ON s.id = rs.sample_id LEFT JOIN annotation_alignment l ON l.id = s.alignment_id
WHERE rs.release_id = %(release)s""",
    "dpo": """SELECT p.object_id, side.candidate_id, NULL::bigint AS pointmap_id FROM datasets_release_pairs rp
JOIN datasets_preferencepair p ON p.id = rp.preferencepair_id
CROSS JOIN LATERAL (VALUES (p.chosen_id), (p.rejected_id)) AS side(candidate_id)
WHERE rp.release_id = %(release)s""",
}

# The pointmap of an object: the one its (latest) released pose stands on, else sensor before render, model, fallback.
_OBJECTS = f"""
SELECT o.id, o.category, i.licence, i.attribution, i.consent, i.cluster, coalesce(i.side, {{side}}) AS split,
       o.aesthetic, (i.looks->>'brightness')::float8 AS brightness, (i.looks->>'contrast')::float8 AS contrast,
       (i.looks->>'colourfulness')::float8 AS colourfulness, (i.looks->>'sharpness')::float8 AS sharpness,
       i.display_id AS image, d.size AS image_size, d.media_type AS image_type, o.mask_id AS mask, k.size AS mask_size,
       p.id AS pointmap_id, p.blob_id AS pointmap, q.size AS pointmap_size, p.source AS pointmap_source,
       json_build_object('key', {_OBJECT_KEY}, 'category', o.category, 'width', i.width, 'height', i.height,
         'image_sha256', i.display_id, 'original_sha256', i.blob_id, 'mask_sha256', o.mask_id, 'pointmap_sha256', p.blob_id,
         'pointmap_source', p.source, 'metric', p.metric, 'camera', p.camera, 'licence', i.licence,
         'attribution', i.attribution, 'consent', i.consent) AS facts
FROM (SELECT object_id, max(pointmap_id) AS pointmap_id FROM ({{members}}) m GROUP BY object_id) g
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
# The side of a photo that has not been held against the others yet: by its hash, one in ten is for validation.
_SIDE = "CASE WHEN ('x' || left(i.blob_id, 8))::bit(32)::bigint %% 10 = 0 THEN 'validation' ELSE 'train' END"
OBJECTS = {kind: _OBJECTS.format(members=members, side=_SIDE) for kind, members in _MEMBERS.items()}

_CANDIDATES = f"""
SELECT c.id, c.object_id, c.seed, p.name AS proposer, k.name AS checkpoint, m.blob_id AS mesh, b.size AS mesh_size,
       m.licence, m.attribution, CASE WHEN p.kind = 'artist' THEN 'art3do' ELSE 'mitl3do' END AS data_set,
       c.thumbnail_id AS thumbnail,
       json_build_object('candidate', {_CANDIDATE_KEY}, 'proposer', p.name, 'checkpoint', k.name, 'weights_sha256',
         k.weights_id, 'job', c.job_id, 'seed', c.seed) AS origin,
       json_build_object('key', {_CANDIDATE_KEY}, 'object_key', {_KEY.format(letter="o", id="c.object_id")},
         'proposer', p.name, 'checkpoint', k.name, 'seed', c.seed, 'triangles', m.triangles, 'mesh_sha256', m.blob_id,
         'proposed_pose', CASE WHEN %(fallback)s OR c.pointmap_source <> 'fallback'
                               THEN json_build_object('R', c."R", 't', c.t, 's', c.s) END,
         'pointmap_source', c.pointmap_source, 'licence', m.licence, 'attribution', m.attribution) AS facts
FROM (SELECT DISTINCT candidate_id FROM ({{members}}) m) g
JOIN proposals_candidate c ON c.id = g.candidate_id
JOIN proposals_proposer p ON p.id = c.proposer_id
LEFT JOIN training_checkpoint k ON k.proposer_id = p.id
JOIN catalog_mesh m ON m.id = c.mesh_id
JOIN backend_blob b ON b.sha256 = m.blob_id
ORDER BY c.object_id, c.id
"""
CANDIDATES = {kind: _CANDIDATES.format(members=members) for kind, members in _MEMBERS.items()}

# Rows of the base (or those before it) that no longer count, and why.
_REMOVED = """
SELECT w.id AS number, CASE WHEN i.removed_at IS NOT NULL THEN 'image removed'
  WHEN w.withdrawn_at IS NULL THEN 'left out'
  WHEN EXISTS (SELECT 1 FROM {rows} n WHERE n.object_id = w.object_id AND n.withdrawn_at IS NULL AND {same}) THEN 'changed'
  ELSE 'withdrawn' END AS reason
FROM {link} g JOIN {rows} w ON w.id = g.{column}
JOIN catalog_targetobject o ON o.id = w.object_id JOIN catalog_image i ON i.id = o.image_id
WHERE g.release_id = %(release)s ORDER BY w.id
"""
REMOVED = {
    "sft": _REMOVED.format(
        rows="datasets_sample", link="datasets_release_removed_samples", column="sample_id",
        same="n.batch_id = w.batch_id AND n.candidate_id = w.candidate_id",
    ),
    "dpo": _REMOVED.format(
        rows="datasets_preferencepair", link="datasets_release_removed_pairs", column="preferencepair_id",
        same="n.batch_id = w.batch_id AND least(n.chosen_id, n.rejected_id) = least(w.chosen_id, w.rejected_id)"
        " AND greatest(n.chosen_id, n.rejected_id) = greatest(w.chosen_id, w.rejected_id)",
    ),
}  # fmt: skip

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
