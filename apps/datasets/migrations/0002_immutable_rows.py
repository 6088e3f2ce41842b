from django.db import migrations

# Statement triggers with transition tables: one look for a whole COPY or INSERT … SELECT, not one a row.
FORWARDS = """
CREATE FUNCTION datasets_refuse_frozen_version() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.state = 'frozen' THEN
        RAISE EXCEPTION 'Version % of dataset % is frozen and never changes', OLD.number, OLD.dataset_id
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN CASE WHEN TG_OP = 'DELETE' THEN OLD ELSE NEW END;
END $$;

CREATE TRIGGER frozen_version_never_changes BEFORE UPDATE OR DELETE ON datasets_version
    FOR EACH ROW EXECUTE FUNCTION datasets_refuse_frozen_version();

CREATE FUNCTION datasets_refuse_frozen_rows() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (
        SELECT 1 FROM (SELECT DISTINCT version_id FROM changed) AS touched
        JOIN datasets_version ON datasets_version.id = touched.version_id
        WHERE datasets_version.state = 'frozen'
    ) THEN
        RAISE EXCEPTION 'The rows of a frozen version never change'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER frozen_rows_are_never_added AFTER INSERT ON datasets_versionrow
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION datasets_refuse_frozen_rows();
CREATE TRIGGER frozen_rows_are_never_changed AFTER UPDATE ON datasets_versionrow
    REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION datasets_refuse_frozen_rows();
CREATE TRIGGER frozen_rows_are_never_moved_in AFTER UPDATE ON datasets_versionrow
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION datasets_refuse_frozen_rows();
CREATE TRIGGER frozen_rows_are_never_removed AFTER DELETE ON datasets_versionrow
    REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION datasets_refuse_frozen_rows();

CREATE FUNCTION datasets_refuse_changed_example() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'What was received in example % never changes', OLD.id
        USING ERRCODE = 'integrity_constraint_violation';
END $$;

CREATE TRIGGER example_content_never_changes
    BEFORE UPDATE OF raw, raw_is_chat, payload, content_hash, text, dataset_id ON datasets_example
    FOR EACH ROW EXECUTE FUNCTION datasets_refuse_changed_example();
"""

BACKWARDS = """
DROP TRIGGER example_content_never_changes ON datasets_example;
DROP TRIGGER frozen_rows_are_never_removed ON datasets_versionrow;
DROP TRIGGER frozen_rows_are_never_moved_in ON datasets_versionrow;
DROP TRIGGER frozen_rows_are_never_changed ON datasets_versionrow;
DROP TRIGGER frozen_rows_are_never_added ON datasets_versionrow;
DROP TRIGGER frozen_version_never_changes ON datasets_version;
DROP FUNCTION datasets_refuse_changed_example();
DROP FUNCTION datasets_refuse_frozen_rows();
DROP FUNCTION datasets_refuse_frozen_version();
"""


class Migration(migrations.Migration):

    dependencies = [("datasets", "0001_initial")]

    operations = [migrations.RunSQL(FORWARDS, BACKWARDS)]
