"""What the database itself holds about staged rows."""

import pytest
from django.db import IntegrityError, connection, transaction

from apps.datasets.models import Import, ImportProblem, ImportRow, ImportState
from tests.datasets.conftest import as_file, lines, row, url

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def record(rob, project, work) -> Import:
    rob.post(url("upload", project), {"file": as_file(lines(row("a question"), row("another question")))})
    work()
    return Import.objects.get()


def test_a_row_of_no_import_is_refused(record):
    staged = ImportRow.objects.first()
    assert staged is not None
    with pytest.raises(IntegrityError, match="There is no import"):
        ImportRow.objects.create(import_record_id=record.pk + 1, line=1, raw=b"{}", payload={})
    with pytest.raises(IntegrityError, match="There is no import"):
        ImportRow.objects.filter(pk=staged.pk).update(import_record_id=record.pk + 1)


def test_an_import_stays_as_long_as_rows_of_it_are_staged(record):
    with pytest.raises(IntegrityError, match="still has staged rows"), transaction.atomic():
        Import.objects.filter(pk=record.pk)._raw_delete("default")
    record.problems.all().delete()
    record.delete()
    assert not ImportRow.objects.exists()


def test_of_what_the_database_refuses_only_that_row_is_lost(rob, project, work):
    """A refusal that no check knows of, made by a trigger."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            CREATE FUNCTION refuse_unlucky() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                IF NEW.text LIKE '%unlucky%' THEN
                    RAISE EXCEPTION 'an unlucky row' USING ERRCODE = 'data_exception';
                END IF;
                RETURN NEW;
            END $$;
            CREATE TRIGGER unlucky BEFORE INSERT ON datasets_importrow
                FOR EACH ROW EXECUTE FUNCTION refuse_unlucky();
            """
        )
    try:
        content = lines(row("one"), b"{broken", row("two, unlucky"), b"", row("three"))
        rob.post(url("upload", project), {"file": as_file(content)})
        work()
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DROP TRIGGER unlucky ON datasets_importrow; DROP FUNCTION refuse_unlucky();")
    record = Import.objects.get()
    assert record.state == ImportState.CHECKED
    assert list(ImportRow.objects.order_by("line").values_list("line", flat=True)) == [1, 5]
    assert (record.row_count, record.empty_line_count, record.line_count) == (2, 1, 5)
    found = ImportProblem.objects.order_by("line").values_list("line", "code")
    assert list(found) == [(2, "not_json"), (3, "refused_by_database")]
