import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('training', '0001_initial'),
    ]

    operations = [
        migrations.AddField(
            model_name='checkpoint',
            name='texture',
            field=models.ForeignKey(blank=True, help_text='the second stage that finishes its shapes when it proposes', null=True, on_delete=django.db.models.deletion.PROTECT, related_name='geometries', to='training.checkpoint'),
        ),
    ]
