import django.db.models.deletion
from django.db import migrations, models

# What a foreign key does, but one look for a whole COPY: for a million rows, one each is a third of all the work.
FORWARDS = """
-- Numbers and hashes in the order of their lines: a few thousand rows say what there is to know for a plan.
ALTER TABLE datasets_importrow
    ALTER COLUMN import_id SET STATISTICS 10,
    ALTER COLUMN line SET STATISTICS 10,
    ALTER COLUMN content_hash SET STATISTICS 10;

CREATE FUNCTION datasets_refuse_rows_of_no_import() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    wanted bigint;
BEGIN
    FOR wanted IN SELECT DISTINCT import_id FROM added LOOP
        PERFORM 1 FROM datasets_import WHERE id = wanted FOR KEY SHARE;
        IF NOT FOUND THEN
            RAISE EXCEPTION 'There is no import %', wanted USING ERRCODE = 'foreign_key_violation';
        END IF;
    END LOOP;
    RETURN NULL;
END $$;

CREATE TRIGGER staged_rows_have_an_import AFTER INSERT ON datasets_importrow
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION datasets_refuse_rows_of_no_import();
CREATE TRIGGER staged_rows_keep_an_import AFTER UPDATE ON datasets_importrow
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION datasets_refuse_rows_of_no_import();

CREATE FUNCTION datasets_refuse_staged_import() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT 1 FROM datasets_importrow WHERE import_id = OLD.id) THEN
        RAISE EXCEPTION 'Import % still has staged rows', OLD.id USING ERRCODE = 'foreign_key_violation';
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER import_with_staged_rows_stays AFTER DELETE ON datasets_import
    FOR EACH ROW EXECUTE FUNCTION datasets_refuse_staged_import();
"""

BACKWARDS = """
DROP TRIGGER import_with_staged_rows_stays ON datasets_import;
DROP TRIGGER staged_rows_keep_an_import ON datasets_importrow;
DROP TRIGGER staged_rows_have_an_import ON datasets_importrow;
DROP FUNCTION datasets_refuse_staged_import();
DROP FUNCTION datasets_refuse_rows_of_no_import();
ALTER TABLE datasets_importrow
    ALTER COLUMN import_id SET STATISTICS -1,
    ALTER COLUMN line SET STATISTICS -1,
    ALTER COLUMN content_hash SET STATISTICS -1;
"""


class Migration(migrations.Migration):

    dependencies = [("datasets", "0003_length_rules")]

    operations = [
        migrations.AlterField(
            model_name="importrow",
            name="import_record",
            field=models.ForeignKey(
                db_column="import_id",
                db_constraint=False,
                db_index=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="rows",
                to="datasets.import",
            ),
        ),
        migrations.RunSQL(FORWARDS, BACKWARDS),
    ]
