from django.db import migrations

DROP = "DROP TRIGGER example_content_never_changes ON datasets_example;"
CREATE = """
CREATE TRIGGER example_content_never_changes
    BEFORE UPDATE OF raw, {more}payload, content_hash, text, dataset_id ON datasets_example
    FOR EACH ROW EXECUTE FUNCTION datasets_refuse_changed_example();
"""


class Migration(migrations.Migration):

    dependencies = [("datasets", "0004_formats")]

    operations = [
        migrations.RunSQL(DROP + CREATE.format(more="raw_is_chat, "), DROP + CREATE.format(more=""))
    ]
