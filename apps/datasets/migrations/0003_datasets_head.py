
import django.contrib.postgres.fields
import django.contrib.postgres.indexes
import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('datasets', '0002_immutable_rows'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.RemoveIndex(
            model_name='example',
            name='example_page',
        ),
        migrations.AddField(
            model_name='example',
            name='created_by',
            field=models.ForeignKey(help_text='Who edited; null: as imported.', null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='example',
            name='removed_at',
            field=models.DateTimeField(help_text='Null: it stands in the dataset.', null=True),
        ),
        migrations.AddField(
            model_name='example',
            name='replaces',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.RESTRICT, related_name='replaced_by', to='datasets.example'),
        ),
        migrations.AddField(
            model_name='example',
            name='row',
            field=models.BigIntegerField(help_text='The first form of an edited row, its key over all versions; null: this is the first.', null=True),
        ),
        migrations.AddField(
            model_name='example',
            name='split',
            field=models.CharField(blank=True, choices=[('train', 'Train'), ('validation', 'Validation'), ('test', 'Test')], db_default='', default='', help_text='The split that its source gave it.', max_length=10),
        ),
        migrations.AddField(
            model_name='example',
            name='tags',
            field=django.contrib.postgres.fields.ArrayField(base_field=models.CharField(max_length=40), blank=True, db_default=[], default=list, size=None),
        ),
        migrations.AddIndex(
            model_name='example',
            index=models.Index(condition=models.Q(('removed_at__isnull', True)), fields=['dataset', 'id'], name='example_page'),
        ),
        migrations.AddIndex(
            model_name='example',
            index=models.Index(condition=models.Q(('row__isnull', False)), fields=['row'], name='example_forms'),
        ),
        migrations.AddIndex(
            model_name='example',
            index=django.contrib.postgres.indexes.GinIndex(fields=['tags'], name='example_tags'),
        ),
    ]
