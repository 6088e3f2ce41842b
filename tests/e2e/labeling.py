"""Setting up a labeling session through its pages."""

from typing import Any

from tests.e2e.screens import BACKGROUND
from tests.ftportal.running import wait_for
from tests.integration.main_job import Work, last_number


def open_session(work: Work, version: int, name: str, *questions: dict[str, Any], **more: Any) -> int:
    """A session over all rows in their order, in which everybody takes part; its number. `more`: other fields."""
    form = work.visitor.get(f"{work.base}label/sessions/new/")
    session = last_number(
        work.visitor.submit(
            form, "Create session", name=name, version=version, everyone="on", order="given", **more
        )
    )
    for question in questions:
        form = work.visitor.get(f"{work.base}label/sessions/{session}/questions/new/")
        page = work.visitor.submit(form, "Add question", **question)
        assert page.status == 200, page.text[:2000]
    work.visitor.submit(work.visitor.get(f"{work.base}label/sessions/{session}/"), "Open the session")
    state = "SELECT state FROM labeling_session WHERE id = %s"
    wait_for(lambda: work.stack.value(state, session) == "open", BACKGROUND / 1000, "the open session")
    return session
