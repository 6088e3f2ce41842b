from django.db import migrations

FORWARDS = """
CREATE FUNCTION labeling_adjudicator_is_no_labeler() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.provenance = 'adjudicated' AND EXISTS (
        SELECT 1 FROM labeling_submission s
        WHERE s.item_id = NEW.item_id AND s.user_id = NEW.decided_by_id AND s.state <> 'undone'
    ) THEN
        RAISE EXCEPTION 'Nobody adjudicates an item that they labeled'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER labeling_adjudicator_is_no_labeler
    BEFORE INSERT ON labeling_resolution
    FOR EACH ROW EXECUTE FUNCTION labeling_adjudicator_is_no_labeler();

CREATE FUNCTION labeling_reviewer_is_no_author() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (
        SELECT 1 FROM labeling_submission s WHERE s.id = NEW.submission_id AND s.user_id = NEW.reviewer_id
    ) THEN
        RAISE EXCEPTION 'Nobody reviews their own label' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER labeling_reviewer_is_no_author
    BEFORE INSERT ON labeling_review
    FOR EACH ROW EXECUTE FUNCTION labeling_reviewer_is_no_author();
"""

BACKWARDS = """
DROP TRIGGER labeling_reviewer_is_no_author ON labeling_review;
DROP FUNCTION labeling_reviewer_is_no_author();
DROP TRIGGER labeling_adjudicator_is_no_labeler ON labeling_resolution;
DROP FUNCTION labeling_adjudicator_is_no_labeler();
"""


class Migration(migrations.Migration):
    dependencies = [("labeling", "0002_kept_for_ever")]
    operations = [migrations.RunSQL(FORWARDS, BACKWARDS)]
