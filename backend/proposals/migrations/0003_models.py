from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('proposals', '0002_desk'),
    ]

    operations = [
        migrations.AlterField(
            model_name='proposer',
            name='kind',
            field=models.CharField(choices=[('retrieval', 'Retrieval'), ('inflation', 'Inflation'), ('flow', 'Flow'), ('sam3d', 'Sam3D'), ('command', 'Command'), ('artist', 'Artist'), ('gold', 'Gold')], max_length=12),
        ),
    ]
