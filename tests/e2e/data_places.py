"""A project whose data has been through everything, and the address of each page about it."""

from typing import Any

from tests.ftportal.running import wait_for
from tests.integration.main_job import PATIENCE, Work, last_number
from tests.integration.rows import jsonl, row

ASKED = ("find", "mend", "paint", "sell", "carry")
THINGS = ("table", "window", "bicycle", "garden gate")
PLACES = ("the north wing", "our summer house", "room seventeen")


def faulty_rows() -> list[bytes]:
    plain = [
        row(("user", f"please {verb} the {thing} in {place} today"), ("assistant", verb))
        for verb in ASKED
        for thing in THINGS
        for place in PLACES
    ]
    twice = row(("user", "Please  FIND the table in the north wing today"), ("assistant", "find"))
    other = row(("user", "please mend the window in room seventeen today"), ("assistant", "paint"))
    mail = row(("user", "write to ada.lovelace@acme.io about the keys"), ("assistant", "carry"))
    pair = row(("user", "shall we?"), ("assistant", "yes"), rejected=[{"role": "assistant", "content": "no"}])
    return [*plain, twice, other, mail, pair]


def data_places(work: Work) -> dict[str, str]:
    base, stack, visitor = f"{work.base}data/", work.stack, work.visitor
    table = b'text,intent\nWhere is my card?,card\n"Two\nlines",loan\nragged\n'
    mapping = last_number(work.upload(table, "intents.csv"))
    saved = visitor.get(f"{base}imports/{mapping}/mapping/")
    form: dict[str, Any] = {
        "preset": "template",
        "shown": "template",
        "prompt": "{{text}}",
        "answer": "{{intent}}",
    }
    visitor.submit(saved, "Check the file", **form, save_as="Intents", check="1")
    work.wait_for_import(mapping, "checked")
    waiting = last_number(work.upload(table, "more-intents.csv"))

    dataset = work.imported(jsonl(faulty_rows()), "orders.jsonl")
    checks = f"{base}datasets/{dataset}/checks/"
    visitor.submit(visitor.get(checks), "Run the checks")
    state = "SELECT state FROM datasets_checkreport WHERE dataset_id = %s ORDER BY id DESC LIMIT 1"
    wait_for(lambda: stack.value(state, dataset) == "done", PATIENCE, "the checks")
    finding = stack.value(
        "SELECT f.id FROM datasets_finding f JOIN datasets_checkreport r ON r.id = f.report_id"
        " WHERE r.dataset_id = %s AND f.code = 'email'",
        dataset,
    )
    first = work.freeze(dataset)
    example = stack.value("SELECT min(id) FROM datasets_example WHERE dataset_id = %s", dataset)
    edit = visitor.get(f"{base}rows/{example}/edit/")
    visitor.submit(edit, "Save", content=["please look for the table", "find"])
    change = stack.value("SELECT max(id) FROM datasets_change WHERE dataset_id = %s", dataset)
    current = stack.value("SELECT id FROM datasets_example WHERE replaces_id = %s", example)
    second = work.freeze(dataset)
    gone = work.imported(jsonl(faulty_rows()[:3]), "old-orders.jsonl")
    visitor.submit(visitor.get(f"{base}datasets/{gone}/"), "Delete the dataset")
    return {
        "data of a table": base,
        "import mapping": f"{base}imports/{waiting}/mapping/",
        "kept mappings": f"{base}mappings/",
        "import by mapping": f"{base}imports/{mapping}/",
        "checks": checks,
        "finding": f"{base}findings/{finding}/",
        "row history": f"{base}rows/{current}/",
        "row edit": f"{base}rows/{current}/edit/",
        "change": f"{base}changes/{change}/",
        "change rows": f"{base}datasets/{dataset}/rows/change/",
        "merge": f"{base}datasets/{dataset}/merge/",
        "changes": f"{base}datasets/{dataset}/?tab=changes",
        "statistics": f"{base}versions/{second}/",
        "versions compared": f"{base}versions/{second}/compare/?with={first}",
        "version and dataset compared": f"{base}versions/{first}/compare/?with=head",
        "version checks": f"{base}versions/{second}/checks/",
        "exports": f"{base}versions/{second}/exports/",
        "trash": f"{base}trash/",
        "form of the answers": f"{work.base}evaluate/answers/",
    }


NAMES = (
    "data of a table", "import mapping", "kept mappings", "import by mapping", "checks", "finding", "row history",
    "row edit", "change", "change rows", "merge", "changes", "statistics", "versions compared",
    "version and dataset compared", "version checks", "exports", "trash", "form of the answers",
)  # fmt: skip
