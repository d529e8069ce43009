"""The database itself refuses to change a frozen release or the rows that one holds."""

from django.db import migrations

GUARDS = """
CREATE FUNCTION datasets_refuse_release() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  -- Links to jobs and people may be cleared when those rows go; all that describes the release stays.
  IF TG_OP = 'UPDATE' AND (to_jsonb(NEW) - 'job_id' - 'created_by_id') = (to_jsonb(OLD) - 'job_id' - 'created_by_id') THEN
    RETURN NEW;
  END IF;
  RAISE EXCEPTION 'release % is frozen', OLD.id USING ERRCODE = 'restrict_violation';
END $$;

CREATE FUNCTION datasets_refuse_rows() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (SELECT 1 FROM datasets_release r WHERE r.state = 'frozen' AND r.id IN (SELECT release_id FROM changed)) THEN
    RAISE EXCEPTION 'a frozen release cannot change its rows' USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NULL;
END $$;

CREATE FUNCTION datasets_refuse_sample() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (SELECT 1 FROM datasets_release_samples s JOIN datasets_release r ON r.id = s.release_id
             WHERE s.sample_id = OLD.id AND r.state = 'frozen') THEN
    RAISE EXCEPTION 'sample % is in a frozen release', OLD.id USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NEW;
END $$;

CREATE FUNCTION datasets_refuse_pair() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (SELECT 1 FROM datasets_release_pairs p JOIN datasets_release r ON r.id = p.release_id
             WHERE p.preferencepair_id = OLD.id AND r.state = 'frozen') THEN
    RAISE EXCEPTION 'preference pair % is in a frozen release', OLD.id USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NEW;
END $$;

CREATE TRIGGER frozen_release BEFORE UPDATE OR DELETE ON datasets_release
  FOR EACH ROW WHEN (OLD.state = 'frozen') EXECUTE FUNCTION datasets_refuse_release();
CREATE TRIGGER frozen_sample BEFORE UPDATE ON datasets_sample FOR EACH ROW EXECUTE FUNCTION datasets_refuse_sample();
CREATE TRIGGER frozen_pair BEFORE UPDATE ON datasets_preferencepair FOR EACH ROW EXECUTE FUNCTION datasets_refuse_pair();
"""
ROWS = """
CREATE TRIGGER {table}_added AFTER INSERT ON {table} REFERENCING NEW TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION datasets_refuse_rows();
CREATE TRIGGER {table}_removed AFTER DELETE ON {table} REFERENCING OLD TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION datasets_refuse_rows();
"""
LINKS = ("datasets_release_samples", "datasets_release_pairs", "datasets_release_batches")
UNDO = """
DROP FUNCTION datasets_refuse_release() CASCADE;
DROP FUNCTION datasets_refuse_rows() CASCADE;
DROP FUNCTION datasets_refuse_sample() CASCADE;
DROP FUNCTION datasets_refuse_pair() CASCADE;
"""


class Migration(migrations.Migration):
    dependencies = [("datasets", "0002_initial")]

    operations = [migrations.RunSQL(GUARDS + "".join(ROWS.format(table=table) for table in LINKS), UNDO)]
