"""The database itself hands out no task of a removed photo: whatever would open one, it becomes cancelled."""

from django.db import migrations

# The lock waits for a removal under way, and a removal waits for tasks that are being made (datasets/removal.py).
GUARD = """
CREATE FUNCTION annotation_cancel_removed() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE removed timestamptz;
BEGIN
  SELECT i.removed_at INTO removed FROM catalog_targetobject o JOIN catalog_image i ON i.id = o.image_id
  WHERE o.id = NEW.object_id FOR KEY SHARE OF i;
  IF removed IS NOT NULL THEN
    NEW.state := 'cancelled';
    NEW.reason := 'photo removed';
  END IF;
  RETURN NEW;
END $$;

CREATE TRIGGER removed_task_made BEFORE INSERT ON annotation_task
  FOR EACH ROW WHEN (NEW.state IN ('waiting', 'open', 'escalated')) EXECUTE FUNCTION annotation_cancel_removed();
CREATE TRIGGER removed_task_opened BEFORE UPDATE OF state ON annotation_task
  FOR EACH ROW WHEN (NEW.state IN ('waiting', 'open', 'escalated') AND NEW.state <> OLD.state)
  EXECUTE FUNCTION annotation_cancel_removed();
"""


class Migration(migrations.Migration):
    dependencies = [("annotation", "0003_desk"), ("catalog", "0003_releases")]

    operations = [migrations.RunSQL(GUARD, "DROP FUNCTION annotation_cancel_removed() CASCADE")]
