"""A verdict once written stays as it is, whoever asks the database to change it."""

from django.db import migrations

FUNCTION = """
CREATE FUNCTION evaluations_verdict_is_final() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.verdict_hash <> '' AND (
        NEW.verdict_hash IS DISTINCT FROM OLD.verdict_hash
        OR NEW.verdict IS DISTINCT FROM OLD.verdict
        OR NEW.details IS DISTINCT FROM OLD.details
        OR NEW.outcome IS DISTINCT FROM OLD.outcome
        OR NEW.sentence IS DISTINCT FROM OLD.sentence
        OR NEW.state IS DISTINCT FROM OLD.state
    ) THEN
        RAISE EXCEPTION 'the verdict of comparison % is final', OLD.id
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER evaluations_verdict_is_final BEFORE UPDATE ON evaluations_comparison
    FOR EACH ROW EXECUTE FUNCTION evaluations_verdict_is_final();
"""
REVERSE = """
DROP TRIGGER evaluations_verdict_is_final ON evaluations_comparison;
DROP FUNCTION evaluations_verdict_is_final();
"""


class Migration(migrations.Migration):
    dependencies = [("evaluations", "0001_initial")]
    operations = [migrations.RunSQL(FUNCTION, REVERSE)]
