"""Fields of increments, collections and withdrawn rows. Releases that are frozen already mixed what they held: they keep
every negative and a blank collection, by the default that the columns are added with."""

import django.db.models.deletion
from django.db import migrations, models

# A released row may be marked as withdrawn; all else of it stays.
GUARDS = """
CREATE OR REPLACE FUNCTION datasets_refuse_sample() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF (to_jsonb(NEW) - 'withdrawn_at') <> (to_jsonb(OLD) - 'withdrawn_at') AND EXISTS (
       SELECT 1 FROM datasets_release_samples s JOIN datasets_release r ON r.id = s.release_id
       WHERE s.sample_id = OLD.id AND r.state = 'frozen') THEN
    RAISE EXCEPTION 'sample % is in a frozen release', OLD.id USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NEW;
END $$;

CREATE OR REPLACE FUNCTION datasets_refuse_pair() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF (to_jsonb(NEW) - 'withdrawn_at') <> (to_jsonb(OLD) - 'withdrawn_at') AND EXISTS (
       SELECT 1 FROM datasets_release_pairs p JOIN datasets_release r ON r.id = p.release_id
       WHERE p.preferencepair_id = OLD.id AND r.state = 'frozen') THEN
    RAISE EXCEPTION 'preference pair % is in a frozen release', OLD.id USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NEW;
END $$;
"""
ROWS = """
CREATE TRIGGER {table}_added AFTER INSERT ON {table} REFERENCING NEW TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION datasets_refuse_rows();
CREATE TRIGGER {table}_removed AFTER DELETE ON {table} REFERENCING OLD TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION datasets_refuse_rows();
"""
LINKS = ("datasets_release_removed_samples", "datasets_release_removed_pairs")
COLLECTION = {"blank": True, "choices": [("shape", "Shape"), ("texture", "Texture")], "max_length": 8}
COLLECTION["help_text"] = "shape and texture are never mixed; blank: frozen before they were told apart"
NEGATIVES = {"help_text": "dpo: only what our own model made is rejected"}
WITHDRAWN = {
    "blank": True, "null": True, "help_text": "a released row that the answers no longer give; no later release takes it",
}


class Migration(migrations.Migration):
    dependencies = [
        ("annotation", "0003_desk"),
        ("catalog", "0003_releases"),
        ("datasets", "0003_frozen"),
        ("proposals", "0003_models"),
    ]

    operations = [
        migrations.AddField("sample", "withdrawn_at", models.DateTimeField(**WITHDRAWN)),
        migrations.AddField("preferencepair", "withdrawn_at", models.DateTimeField(**WITHDRAWN)),
        migrations.AlterField(
            "preferencepair", "weight",
            models.FloatField(default=1, help_text="probability that chosen is better, given all answers; over 0.5"),
        ),
        migrations.AddField(
            "release", "base",
            models.ForeignKey(
                blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name="increments",
                to="datasets.release",
            ),
        ),
        migrations.AddField(
            "release", "aesthetic",
            models.BooleanField(db_default=False, default=False, help_text="only objects of high aesthetics"),
        ),
        migrations.AddField("release", "collection", models.CharField(db_default="", default="", **COLLECTION)),
        migrations.AlterField("release", "collection", models.CharField(db_default="shape", default="shape", **COLLECTION)),
        migrations.AddField("release", "own_negatives", models.BooleanField(db_default=False, default=False, **NEGATIVES)),
        migrations.AlterField("release", "own_negatives", models.BooleanField(db_default=True, default=True, **NEGATIVES)),
        migrations.AddField(
            "release", "removed_samples", models.ManyToManyField(related_name="removed_by", to="datasets.sample")
        ),
        migrations.AddField(
            "release", "removed_pairs", models.ManyToManyField(related_name="removed_by", to="datasets.preferencepair")
        ),
        migrations.RunSQL(GUARDS + "".join(ROWS.format(table=table) for table in LINKS), migrations.RunSQL.noop),
    ]
