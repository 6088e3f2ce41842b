import apps.datasets.expressions
import django.contrib.postgres.fields
import django.contrib.postgres.indexes
import django.contrib.postgres.search
import django.db.models.deletion
import django.db.models.functions.comparison
import django.db.models.functions.text
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('artifacts', '0001_initial'),
        ('projects', '0001_initial'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='Example',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('line', models.BigIntegerField(help_text='Line in the source file.', null=True)),
                ('row', models.BigIntegerField(help_text='The first form of an edited row, its key over all versions; null: this is the first.', null=True)),
                ('removed_at', models.DateTimeField(help_text='Null: it stands in the dataset.', null=True)),
                ('split', models.CharField(blank=True, choices=[('train', 'Train'), ('validation', 'Validation'), ('test', 'Test')], db_default='', default='', help_text='The split that its source gave it.', max_length=10)),
                ('tags', django.contrib.postgres.fields.ArrayField(base_field=models.CharField(max_length=40), blank=True, db_default=[], default=list, size=None)),
                ('raw', models.BinaryField()),
                ('raw_is_chat', models.BooleanField(db_default=True, default=True, help_text='False: raw is a row of another shape; payload is the row.')),
                ('payload', models.JSONField()),
                ('content_hash', models.CharField(max_length=64)),
                ('text', models.TextField(help_text='All message contents.')),
                ('words', models.GeneratedField(db_persist=True, expression=django.contrib.postgres.search.SearchVector(django.db.models.functions.text.Left('text', 100000), config='simple'), output_field=django.contrib.postgres.search.SearchVectorField())),
                ('key', models.GeneratedField(db_persist=True, expression=django.db.models.functions.comparison.Coalesce('row', 'id'), help_text='What stays the same when the row is edited; rows are listed and frozen in its order.', output_field=models.BigIntegerField())),
                ('characters', models.GeneratedField(db_persist=True, expression=apps.datasets.expressions.CharacterLength('text'), output_field=models.IntegerField())),
                ('answer_hash', models.GeneratedField(db_persist=True, expression=apps.datasets.expressions.AnswerHash('payload'), null=True, output_field=models.BigIntegerField())),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('created_by', models.ForeignKey(help_text='Who edited; null: as imported.', null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'ordering': ['pk'],
            },
        ),
        migrations.CreateModel(
            name='Dataset',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('name', models.CharField(max_length=80)),
                ('description', models.TextField(blank=True)),
                ('licence', models.CharField(blank=True, help_text='Under which its rows may be used; goes into every export.', max_length=100)),
                ('example_count', models.BigIntegerField(default=0)),
                ('tag_names', django.contrib.postgres.fields.ArrayField(base_field=models.CharField(max_length=40), blank=True, db_default=[], default=list, size=None)),
                ('deleted_at', models.DateTimeField(help_text='Since when it is in the trash.', null=True)),
                ('created_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('deleted_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('project', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='datasets', to='projects.project')),
            ],
            options={
                'ordering': ['name'],
            },
        ),
        migrations.CreateModel(
            name='CheckReport',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('state', models.CharField(choices=[('checking', 'Checking'), ('done', 'Done'), ('failed', 'Failed')], default='checking', max_length=10)),
                ('head_mark', models.CharField(blank=True, help_text='Which rows stood in the dataset: see selectors.head_mark', max_length=60)),
                ('row_count', models.BigIntegerField(default=0)),
                ('new_count', models.BigIntegerField(default=0, help_text='Rows whose facts this report worked out.')),
                ('checks', models.JSONField(default=list, help_text='Each check: name, title, rows seen, of how many, seconds, findings.')),
                ('evidence', models.JSONField(default=dict, help_text='Suites compared with, tokenizer, languages.')),
                ('problem_count', models.IntegerField(default=0, help_text='Findings of each severity that are not decided yet.')),
                ('attention_count', models.IntegerField(default=0)),
                ('info_count', models.IntegerField(default=0)),
                ('error', models.TextField(blank=True)),
                ('finished_at', models.DateTimeField(null=True)),
                ('created_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('dataset', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='check_reports', to='datasets.dataset')),
            ],
            options={
                'ordering': ['-pk'],
            },
        ),
        migrations.CreateModel(
            name='Change',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('action', models.CharField(choices=[('edit', 'Edited'), ('add', 'Added by hand'), ('remove', 'Removed'), ('bring_back', 'Brought back'), ('replace', 'Text replaced'), ('set_system', 'System prompt set'), ('strip_system', 'System prompt removed'), ('tag', 'Tagged'), ('untag', 'Tag removed'), ('merge', 'Merged in'), ('restore', 'Version restored'), ('redact', 'Personal data redacted')], max_length=12)),
                ('state', models.CharField(choices=[('waiting', 'Under way'), ('done', 'Done'), ('failed', 'Failed'), ('undoing', 'Being undone'), ('undone', 'Undone')], default='waiting', max_length=8)),
                ('parameters', models.JSONField(default=dict, help_text='What to do, and the filter that says to which rows.')),
                ('row_count', models.BigIntegerField(default=0, help_text='Rows that it changed.')),
                ('skipped_count', models.BigIntegerField(default=0, help_text='Rows of the filter left alone: nothing to change, or it would have broken them.')),
                ('refused_count', models.BigIntegerField(default=0, help_text='Of the skipped: rows that would not have passed the checks.')),
                ('kept_count', models.BigIntegerField(default=0, help_text='Rows that undoing left alone: they were changed again since.')),
                ('error', models.TextField(blank=True)),
                ('undone_at', models.DateTimeField(null=True)),
                ('created_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('undone_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('dataset', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='changes', to='datasets.dataset')),
            ],
            options={
                'ordering': ['-pk'],
            },
        ),
        migrations.CreateModel(
            name='Decision',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('key', models.CharField(max_length=32)),
                ('code', models.CharField(max_length=40)),
                ('title', models.CharField(help_text='Of the finding then.', max_length=300)),
                ('action', models.CharField(max_length=20)),
                ('reason', models.CharField(blank=True, max_length=300)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('actor', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('dataset', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='check_decisions', to='datasets.dataset')),
            ],
            options={
                'ordering': ['-pk'],
            },
        ),
        migrations.CreateModel(
            name='ExampleFacts',
            fields=[
                ('example', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, primary_key=True, related_name='facts', serialize=False, to='datasets.example')),
                ('facts_version', models.SmallIntegerField(help_text='checks.row_facts.FACTS_VERSION')),
                ('whole', models.BigIntegerField()),
                ('system', models.BigIntegerField()),
                ('asked', models.BigIntegerField()),
                ('answer', models.BigIntegerField()),
                ('rejected', models.BigIntegerField()),
                ('opening', models.BigIntegerField()),
                ('conversation', models.BigIntegerField()),
                ('answer_text', models.TextField()),
                ('asked_characters', models.IntegerField()),
                ('answer_characters', models.IntegerField()),
                ('turns', models.IntegerField()),
                ('language', models.CharField(max_length=40)),
                ('personal', django.contrib.postgres.fields.ArrayField(base_field=models.CharField(max_length=20), size=None)),
                ('problems', django.contrib.postgres.fields.ArrayField(base_field=models.CharField(max_length=40), size=None)),
                ('word_signature', models.BinaryField()),
                ('character_signature', models.BinaryField()),
                ('tokenizer', models.CharField(help_text='Which tokenizer counted: see tokenizers.tokenizer_key; empty: none.', max_length=32)),
                ('tokens', models.IntegerField(null=True)),
                ('answer_tokens', models.IntegerField(null=True)),
            ],
        ),
        migrations.AddField(
            model_name='example',
            name='dataset',
            field=models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='examples', to='datasets.dataset'),
        ),
        migrations.AddField(
            model_name='example',
            name='replaces',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.RESTRICT, related_name='replaced_by', to='datasets.example'),
        ),
        migrations.CreateModel(
            name='ChangeRow',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('change', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='rows', to='datasets.change')),
                ('after', models.ForeignKey(null=True, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='datasets.example')),
                ('before', models.ForeignKey(null=True, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='datasets.example')),
            ],
            options={
                'ordering': ['pk'],
            },
        ),
        migrations.CreateModel(
            name='Finding',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('check_name', models.CharField(max_length=20)),
                ('code', models.CharField(max_length=40)),
                ('severity', models.CharField(choices=[('problem', 'Problem'), ('attention', 'To look at'), ('info', 'For information')], max_length=10)),
                ('title', models.CharField(max_length=300)),
                ('detail', models.TextField()),
                ('actions', django.contrib.postgres.fields.ArrayField(base_field=models.CharField(max_length=20), size=None)),
                ('evidence', models.JSONField(default=dict)),
                ('blocks', models.BooleanField(default=False, help_text='Nothing is frozen before every item is decided.')),
                ('item_count', models.IntegerField()),
                ('open_count', models.IntegerField(help_text='Items that nobody has decided about.')),
                ('row_count', models.IntegerField()),
                ('report', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='findings', to='datasets.checkreport')),
            ],
            options={
                'ordering': ['pk'],
            },
        ),
        migrations.CreateModel(
            name='FindingRow',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('item', models.IntegerField(help_text='1, 2, …: rows of one cluster have the same.')),
                ('key', models.CharField(help_text='Of the item: the same in later reports.', max_length=32)),
                ('note', models.CharField(blank=True, max_length=200)),
                ('keep', models.BooleanField(default=False, help_text='A clean-up leaves this row.')),
                ('decided', models.CharField(blank=True, help_text='The action that was decided; empty: open.', max_length=20)),
                ('example', models.ForeignKey(null=True, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='datasets.example')),
                ('finding', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='rows', to='datasets.finding')),
            ],
        ),
        migrations.CreateModel(
            name='Import',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('state', models.CharField(choices=[('fetching', 'Fetching'), ('received', 'Received'), ('unmapped', 'To be confirmed'), ('checking', 'Checking'), ('checked', 'Ready to commit'), ('committing', 'Committing'), ('committed', 'Committed'), ('discarded', 'Discarded'), ('failed', 'Failed')], default='received', max_length=12)),
                ('file_name', models.CharField(max_length=200)),
                ('fetched_from', models.CharField(blank=True, help_text="The address, or the path in the operator's import directory.", max_length=2000)),
                ('reading', models.JSONField(default=dict, help_text='Format, compression, columns; empty: not recognised yet.')),
                ('mapping', models.JSONField(default=dict, help_text='How rows become conversations; empty: as they are.')),
                ('checked_bytes', models.BigIntegerField(default=0, help_text='Everything before this offset is staged: where a stopped check goes on.')),
                ('line_count', models.BigIntegerField(default=0, help_text='Lines read, empty ones included.')),
                ('empty_line_count', models.BigIntegerField(default=0, help_text='Lines without a character; passed over.')),
                ('row_count', models.BigIntegerField(default=0, help_text='Rows that passed.')),
                ('problem_count', models.BigIntegerField(default=0, help_text='Lines that did not.')),
                ('problem_counts', models.JSONField(default=dict, help_text='Problem code -> lines.')),
                ('has_byte_order_mark', models.BooleanField(default=False)),
                ('repeated_in_file', models.BigIntegerField(default=0, help_text='Rows whose messages came before in this file, and not in the dataset.')),
                ('already_in_dataset', models.BigIntegerField(default=0, help_text='Rows whose messages were in the dataset when the file was checked.')),
                ('duplicate_sample', models.JSONField(default=list, help_text='The first duplicates: {line, first_line} or {line, example}.')),
                ('keep_duplicates', models.BooleanField(default=False)),
                ('added_count', models.BigIntegerField(help_text='Rows that the commit added.', null=True)),
                ('error', models.TextField(blank=True)),
                ('committed_at', models.DateTimeField(null=True)),
                ('blob', models.ForeignKey(help_text='Null: not fetched yet.', null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='artifacts.blob')),
                ('created_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('dataset', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='imports', to='datasets.dataset')),
            ],
            options={
                'ordering': ['-pk'],
            },
        ),
        migrations.AddField(
            model_name='example',
            name='source',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.RESTRICT, related_name='examples', to='datasets.import'),
        ),
        migrations.CreateModel(
            name='ImportProblem',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('line', models.BigIntegerField()),
                ('byte_offset', models.BigIntegerField(help_text='Null: the format has no such places.', null=True)),
                ('path', models.CharField(blank=True, help_text='JSON path: $.messages[1].role', max_length=200)),
                ('code', models.CharField(max_length=40)),
                ('message', models.CharField(max_length=300)),
                ('excerpt', models.CharField(blank=True, help_text='The offending value, cut.', max_length=300)),
                ('import_record', models.ForeignKey(db_column='import_id', on_delete=django.db.models.deletion.CASCADE, related_name='problems', to='datasets.import')),
            ],
            options={
                'ordering': ['pk'],
            },
        ),
        migrations.CreateModel(
            name='ImportRow',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('line', models.BigIntegerField(help_text='In formats without lines the place among the rows.')),
                ('raw', models.BinaryField(help_text='The row as received, without its line end.')),
                ('raw_is_chat', models.BooleanField(db_default=True, default=True)),
                ('split', models.CharField(blank=True, db_default='', default='', max_length=10)),
                ('payload', models.JSONField()),
                ('content_hash', models.CharField(help_text='SHA-256 of the canonical JSON of the messages.', max_length=64)),
                ('text', models.TextField()),
                ('import_record', models.ForeignKey(db_column='import_id', on_delete=django.db.models.deletion.CASCADE, related_name='rows', to='datasets.import')),
            ],
        ),
        migrations.CreateModel(
            name='SavedFilter',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('name', models.CharField(max_length=60)),
                ('query', models.CharField(help_text='As it stands in the URL.', max_length=2000)),
                ('created_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('dataset', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='saved_filters', to='datasets.dataset')),
            ],
            options={
                'ordering': ['name'],
            },
        ),
        migrations.CreateModel(
            name='SavedMapping',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('name', models.CharField(max_length=80)),
                ('mapping', models.JSONField()),
                ('created_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('project', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='saved_mappings', to='projects.project')),
            ],
            options={
                'ordering': ['name'],
            },
        ),
        migrations.CreateModel(
            name='Upload',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('file_name', models.CharField(max_length=255)),
                ('size', models.BigIntegerField(help_text='Bytes of the whole file.')),
                ('modified', models.CharField(help_text='When the file was changed, as the browser says.', max_length=40)),
                ('received', models.BigIntegerField(default=0, help_text='Bytes that are here.')),
                ('blob', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='artifacts.blob')),
                ('created_by', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('project', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='uploads', to='projects.project')),
            ],
        ),
        migrations.AddField(
            model_name='import',
            name='upload',
            field=models.ForeignKey(help_text='The pieces that the file comes in.', null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to='datasets.upload'),
        ),
        migrations.CreateModel(
            name='Version',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('number', models.PositiveIntegerField()),
                ('state', models.CharField(choices=[('freezing', 'Freezing'), ('frozen', 'Frozen'), ('failed', 'Failed')], default='freezing', max_length=10)),
                ('note', models.CharField(blank=True, max_length=300)),
                ('seed', models.BigIntegerField(default=42)),
                ('validation_share', models.FloatField(default=0.1)),
                ('test_share', models.FloatField(default=0.1)),
                ('group_path', models.CharField(blank=True, help_text='Rows with the same value here stay in one split: metadata.wording', max_length=100)),
                ('keeps_splits', models.BooleanField(default=False, help_text='Rows stay in the split that their source gave them.')),
                ('tokenizer', models.CharField(blank=True, help_text='The base model whose tokenizer counted.', max_length=300)),
                ('manifest_hash', models.CharField(blank=True, max_length=64)),
                ('statistics', models.JSONField(default=dict)),
                ('test_release_reason', models.CharField(blank=True, help_text='Why rows that were tested on before may be trained on; empty: they stay in test.', max_length=300)),
                ('error', models.TextField(blank=True)),
                ('row_count', models.BigIntegerField(default=0)),
                ('train_count', models.BigIntegerField(default=0)),
                ('validation_count', models.BigIntegerField(default=0)),
                ('test_count', models.BigIntegerField(default=0)),
                ('frozen_at', models.DateTimeField(null=True)),
                ('created_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('dataset', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='versions', to='datasets.dataset')),
            ],
            options={
                'ordering': ['-number'],
            },
        ),
        migrations.AddField(
            model_name='checkreport',
            name='version',
            field=models.ForeignKey(help_text="Null: the dataset's head.", null=True, on_delete=django.db.models.deletion.CASCADE, related_name='check_reports', to='datasets.version'),
        ),
        migrations.CreateModel(
            name='VersionDiff',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('stamp', models.CharField(blank=True, help_text='What the dataset looked like; the diff is stale once it differs.', max_length=120)),
                ('summary', models.JSONField(default=dict)),
                ('added', django.contrib.postgres.fields.ArrayField(base_field=models.BigIntegerField(), default=list, size=None)),
                ('removed', django.contrib.postgres.fields.ArrayField(base_field=models.BigIntegerField(), default=list, size=None)),
                ('changed_from', django.contrib.postgres.fields.ArrayField(base_field=models.BigIntegerField(), default=list, size=None)),
                ('changed_to', django.contrib.postgres.fields.ArrayField(base_field=models.BigIntegerField(), default=list, help_text='Row by row as changed_from.', size=None)),
                ('moved', django.contrib.postgres.fields.ArrayField(base_field=models.BigIntegerField(), default=list, help_text='The same form, or a changed one, in another split.', size=None)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('after', models.ForeignKey(help_text='Null: the dataset as it stands.', null=True, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='datasets.version')),
                ('before', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='datasets.version')),
            ],
        ),
        migrations.CreateModel(
            name='VersionRow',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('position', models.BigIntegerField(help_text='1, 2, … in the order of the manifest.')),
                ('split', models.CharField(choices=[('train', 'Train'), ('validation', 'Validation'), ('test', 'Test')], max_length=10)),
                ('token_count', models.IntegerField(help_text="By the version's tokenizer, template included.", null=True)),
                ('answer_token_count', models.IntegerField(help_text='Tokens that are trained on.', null=True)),
                ('group', models.CharField(blank=True, max_length=200)),
                ('example', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='version_rows', to='datasets.example')),
                ('version', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='rows', to='datasets.version')),
            ],
            options={
                'ordering': ['position'],
            },
        ),
        migrations.AddConstraint(
            model_name='dataset',
            constraint=models.UniqueConstraint(condition=models.Q(('deleted_at', None)), fields=('project', 'name'), name='dataset_name_unique_in_project'),
        ),
        migrations.AddIndex(
            model_name='change',
            index=models.Index(fields=['dataset', '-id'], name='change_page'),
        ),
        migrations.AddConstraint(
            model_name='change',
            constraint=models.CheckConstraint(condition=models.Q(('state__in', ['waiting', 'done', 'failed', 'undoing', 'undone'])), name='change_state_known'),
        ),
        migrations.AddConstraint(
            model_name='change',
            constraint=models.CheckConstraint(condition=models.Q(('action__in', ['edit', 'add', 'remove', 'bring_back', 'replace', 'set_system', 'strip_system', 'tag', 'untag', 'merge', 'restore', 'redact'])), name='change_action_known'),
        ),
        migrations.AddIndex(
            model_name='decision',
            index=models.Index(fields=['dataset', 'key'], name='decision_key'),
        ),
        migrations.AddIndex(
            model_name='changerow',
            index=models.Index(fields=['change', 'id'], name='change_row_page'),
        ),
        migrations.AddConstraint(
            model_name='finding',
            constraint=models.UniqueConstraint(fields=('report', 'code'), name='one_finding_per_code'),
        ),
        migrations.AddIndex(
            model_name='findingrow',
            index=models.Index(fields=['finding', 'id'], name='finding_page'),
        ),
        migrations.AddIndex(
            model_name='findingrow',
            index=models.Index(fields=['finding', 'item'], name='finding_item'),
        ),
        migrations.AddIndex(
            model_name='example',
            index=models.Index(condition=models.Q(('row__isnull', False)), fields=['row'], name='example_forms'),
        ),
        migrations.AddIndex(
            model_name='example',
            index=models.Index(condition=models.Q(('removed_at__isnull', False)), fields=['dataset', 'key'], name='example_removed_page'),
        ),
        migrations.AddIndex(
            model_name='example',
            index=models.Index(condition=models.Q(('split', ''), _negated=True), fields=['dataset', 'split', 'key'], name='example_split_page'),
        ),
        migrations.AddIndex(
            model_name='example',
            index=models.Index(fields=['dataset', 'answer_hash', 'key'], name='example_answer_page'),
        ),
        migrations.AddIndex(
            model_name='example',
            index=models.Index(fields=['dataset', 'characters'], name='example_characters'),
        ),
        migrations.AddIndex(
            model_name='example',
            index=django.contrib.postgres.indexes.GinIndex(fields=['tags'], name='example_tags'),
        ),
        migrations.AddIndex(
            model_name='example',
            index=models.Index(fields=['dataset', 'content_hash'], name='example_content'),
        ),
        migrations.AddIndex(
            model_name='example',
            index=models.Index(fields=['source', 'key'], name='example_source_page'),
        ),
        migrations.AddIndex(
            model_name='example',
            index=django.contrib.postgres.indexes.GinIndex(fields=['words'], name='example_words'),
        ),
        migrations.AddConstraint(
            model_name='example',
            constraint=models.UniqueConstraint(condition=models.Q(('removed_at__isnull', True)), fields=('dataset', 'key'), include=('id',), name='one_form_of_a_row_stands'),
        ),
        migrations.AddIndex(
            model_name='importproblem',
            index=models.Index(fields=['import_record', 'id'], name='problem_page'),
        ),
        migrations.AddIndex(
            model_name='importproblem',
            index=models.Index(fields=['import_record', 'code', 'id'], name='problem_code_page'),
        ),
        migrations.AddConstraint(
            model_name='importproblem',
            constraint=models.UniqueConstraint(fields=('import_record', 'line', 'path', 'code'), name='one_problem_per_place'),
        ),
        migrations.AddConstraint(
            model_name='importrow',
            constraint=models.UniqueConstraint(fields=('import_record', 'line'), name='one_staged_row_per_line'),
        ),
        migrations.AddConstraint(
            model_name='savedfilter',
            constraint=models.UniqueConstraint(fields=('dataset', 'name'), name='filter_name_unique_in_dataset'),
        ),
        migrations.AddConstraint(
            model_name='savedmapping',
            constraint=models.UniqueConstraint(fields=('project', 'name'), name='saved_mapping_name_unique'),
        ),
        migrations.AddConstraint(
            model_name='upload',
            constraint=models.UniqueConstraint(fields=('project', 'created_by', 'file_name', 'size', 'modified'), name='one_upload_per_file'),
        ),
        migrations.AddConstraint(
            model_name='import',
            constraint=models.CheckConstraint(condition=models.Q(('state__in', ['fetching', 'received', 'unmapped', 'checking', 'checked', 'committing', 'committed', 'discarded', 'failed'])), name='import_state_known'),
        ),
        migrations.AddConstraint(
            model_name='version',
            constraint=models.UniqueConstraint(fields=('dataset', 'number'), name='version_number_unique'),
        ),
        migrations.AddConstraint(
            model_name='version',
            constraint=models.CheckConstraint(condition=models.Q(('state__in', ['freezing', 'frozen', 'failed'])), name='version_state_known'),
        ),
        migrations.AddConstraint(
            model_name='version',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('state', 'frozen'), _negated=True), models.Q(('manifest_hash', ''), _negated=True), _connector='OR'), name='frozen_version_has_hash'),
        ),
        migrations.AddIndex(
            model_name='checkreport',
            index=models.Index(fields=['dataset', 'version', '-id'], name='check_report_newest'),
        ),
        migrations.AddConstraint(
            model_name='checkreport',
            constraint=models.CheckConstraint(condition=models.Q(('state__in', ['checking', 'done', 'failed'])), name='check_report_state_known'),
        ),
        migrations.AddConstraint(
            model_name='versiondiff',
            constraint=models.UniqueConstraint(fields=('before', 'after'), name='one_diff_of_two_versions', nulls_distinct=False),
        ),
        migrations.AddIndex(
            model_name='versionrow',
            index=models.Index(fields=['version', 'split', 'position'], name='version_split_page'),
        ),
        migrations.AddConstraint(
            model_name='versionrow',
            constraint=models.UniqueConstraint(fields=('version', 'position'), name='one_row_per_position'),
        ),
        migrations.AddConstraint(
            model_name='versionrow',
            constraint=models.UniqueConstraint(fields=('version', 'example'), name='one_row_per_example'),
        ),
    ]
