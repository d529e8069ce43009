"""Samples and pairs are unique among those that are not withdrawn. The indexes are built while people work."""

from django.db import migrations, models

BUILD = """CREATE UNIQUE INDEX CONCURRENTLY {name} ON {table} ({columns}) WHERE withdrawn_at IS NULL"""


def _replaced(model: str, old: str, name: str, fields: list[str], columns: str) -> list[migrations.operations.base.Operation]:
    """The new index first, then the old one away: at no time is a double possible."""
    table = f"datasets_{model}"
    return [
        migrations.RunSQL(f"DROP INDEX IF EXISTS {name}", migrations.RunSQL.noop),  # of an attempt that broke off
        migrations.RunSQL(
            BUILD.format(name=name, table=table, columns=columns),
            f"DROP INDEX {name}",
            state_operations=[
                migrations.AddConstraint(
                    model, models.UniqueConstraint(condition=models.Q(withdrawn_at=None), fields=fields, name=name)
                )
            ],
        ),
        migrations.RemoveConstraint(model, old),
    ]


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("datasets", "0004_releases")]

    operations = [
        *_replaced("sample", "sample_once", "sample_current", ["batch", "object", "candidate"], "batch_id, object_id, candidate_id"),
        *_replaced(
            "preferencepair", "pair_once", "pair_current", ["assignment", "chosen", "rejected"],
            "assignment_id, chosen_id, rejected_id",
        ),
    ]
