from django.db import migrations

FORWARDS = """
CREATE FUNCTION labeling_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'What was written in % never changes', TG_TABLE_NAME
        USING ERRCODE = 'integrity_constraint_violation';
END $$;

CREATE TRIGGER guideline_version_never_changes
    BEFORE UPDATE OF guideline_id, number, change, meaning, text, examples ON labeling_guidelineversion
    FOR EACH ROW EXECUTE FUNCTION labeling_refuse_change();
CREATE TRIGGER answer_never_changes
    BEFORE UPDATE OF submission_id, question_id, value ON labeling_answer
    FOR EACH ROW EXECUTE FUNCTION labeling_refuse_change();
CREATE TRIGGER submission_never_moves
    BEFORE UPDATE OF session_id, item_id, user_id, client_id, guideline_version_id, created_at ON labeling_submission
    FOR EACH ROW EXECUTE FUNCTION labeling_refuse_change();
CREATE TRIGGER resolved_answer_never_changes
    BEFORE UPDATE OF resolution_id, question_id, value ON labeling_resolvedanswer
    FOR EACH ROW EXECUTE FUNCTION labeling_refuse_change();
"""

BACKWARDS = """
DROP TRIGGER resolved_answer_never_changes ON labeling_resolvedanswer;
DROP TRIGGER submission_never_moves ON labeling_submission;
DROP TRIGGER answer_never_changes ON labeling_answer;
DROP TRIGGER guideline_version_never_changes ON labeling_guidelineversion;
DROP FUNCTION labeling_refuse_change();
"""


class Migration(migrations.Migration):
    dependencies = [("labeling", "0001_initial")]
    operations = [migrations.RunSQL(FORWARDS, BACKWARDS)]
