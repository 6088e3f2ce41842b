"""The main job step by step through the real pages, as a person without JavaScript does it."""

from dataclasses import dataclass
from typing import Any

from tests.ftportal.running import wait_for
from tests.integration.pages import Page, Visitor
from tests.integration.rows import distinct_tickets, jsonl
from tests.integration.stack import Stack

PATIENCE = 180.0  # seconds for a small piece of background work on a busy machine
QUICK_TRAINING = {
    "epochs": "1",
    "batch_size": "8",
    "gradient_accumulation": "1",
    "lora_rank": "4",
    "evaluation_steps": "5",
    "replay_rows": "",
}


@dataclass
class Work:
    """One person at work in one project."""

    stack: Stack
    visitor: Visitor
    base: str
    """The project's address: /w/…/p/…/"""

    # --- Data ---------------------------------------------------------------------------------------------------

    def upload(self, content: bytes, file_name: str = "tickets.jsonl", **changes: Any) -> Page:
        """The page after the upload: the import's, or the form with its error."""
        form = self.visitor.get(f"{self.base}data/upload/")
        return self.visitor.submit(form, "Upload and check", files={"file": (file_name, content)}, **changes)

    def import_number(self, page: Page) -> int:
        return last_number(page)

    def import_row(self, number: int) -> dict[str, Any]:
        return self.stack.row("SELECT * FROM datasets_import WHERE id = %s", number)

    def wait_for_import(self, number: int, *states: str, limit: float = PATIENCE) -> dict[str, Any]:
        wait_for(lambda: self.import_row(number)["state"] in states, limit, f"import {number} {states}")
        return self.import_row(number)

    def import_page(self, number: int) -> Page:
        return self.visitor.get(f"{self.base}data/imports/{number}/")

    def commit(self, number: int) -> Page:
        return self.visitor.submit(self.import_page(number), "Commit")

    def imported(self, content: bytes, file_name: str = "tickets.jsonl", **changes: Any) -> int:
        """Upload, check, commit; returns the dataset."""
        number = self.import_number(self.upload(content, file_name, **changes))
        self.wait_for_import(number, "checked")
        self.commit(number)
        dataset: int = self.wait_for_import(number, "committed")["dataset_id"]
        return dataset

    def freeze(self, dataset: int, **changes: Any) -> int:
        """A frozen version of all rows."""
        form = self.visitor.get(f"{self.base}data/datasets/{dataset}/freeze/")
        number = last_number(self.visitor.submit(form, "Freeze", **changes))
        wait_for(lambda: self._version(number)["state"] == "frozen", PATIENCE, f"version {number}")
        return number

    def _version(self, number: int) -> dict[str, Any]:
        return self.stack.row("SELECT * FROM datasets_version WHERE id = %s", number)

    def version_of_tickets(self, count: int = 120) -> int:
        return self.freeze(self.imported(jsonl(distinct_tickets(count))))

    # --- Training -----------------------------------------------------------------------------------------------

    def train(self, version: int, **changes: Any) -> int:
        page = self.visitor.get(f"{self.base}train/new/", version=str(version), **QUICK_TRAINING)
        form = next(form for form in page.forms if any(name == "submission_key" for name, _ in form.fields))
        wanted = {"version": version, **QUICK_TRAINING, "accept_few": "on", **changes}
        return last_number(self.visitor.send(page, form, **wanted))

    def job(self, number: int) -> dict[str, Any]:
        return self.stack.row("SELECT * FROM jobs_trainingjob WHERE id = %s", number)

    def job_page(self, number: int) -> Page:
        return self.visitor.get(f"{self.base}train/{number}/")

    def wait_for_job(self, number: int, *states: str, limit: float = 2 * PATIENCE) -> dict[str, Any]:
        wait_for(
            lambda: self.job(number)["state"] in (*states, "failed"), limit, f"job {number} to be {states}"
        )
        job = self.job(number)
        assert job["state"] in states, f"{job['state']}: {job['error']}\n{job['log_tail'][-2000:]}"
        return job

    def wait_for_step(self, number: int, step: int, limit: float = 2 * PATIENCE) -> None:
        """The job trains, is past this step, and has not ended."""

        def reached() -> bool:
            job = self.job(number)
            assert job["state"] in ("queued", "running"), f"{job['state']} before step {step}: {job['error']}"
            return bool(job["step"] >= step)

        wait_for(reached, limit, f"step {step} of job {number}")

    # --- Evaluation ---------------------------------------------------------------------------------------------

    def compare(self, model: int, **changes: Any) -> int:
        page = self.visitor.get(f"{self.base}evaluate/new/", model=str(model))
        return last_number(self.visitor.submit(page, "Start comparison", model_version=model, **changes))

    def comparison(self, number: int) -> dict[str, Any]:
        return self.stack.row("SELECT * FROM evaluations_comparison WHERE id = %s", number)

    def wait_for_comparison(self, number: int, *states: str, limit: float = 2 * PATIENCE) -> dict[str, Any]:
        wait_for(
            lambda: self.comparison(number)["state"] in (*states, "failed"),
            limit,
            f"comparison {number} to be {states}",
        )
        comparison = self.comparison(number)
        assert comparison["state"] in states, f"{comparison['state']}: {comparison['error']}"
        return comparison

    def operation(self, kind: str, subject: int) -> dict[str, Any]:
        """The latest background work of this kind on this thing."""
        return self.stack.rows(
            "SELECT * FROM operations_operation WHERE kind = %s AND subject_id = %s ORDER BY id DESC LIMIT 1",
            kind,
            subject,
        )[0]


def new_project(stack: Stack, name: str) -> Work:
    visitor = stack.visitor()
    workspace = visitor.get("/").path.split("/p/")[0]
    page = visitor.submit(visitor.get(f"{workspace}new/"), "Create project", name=name)
    assert "/p/" in page.path, page.text[:1000]
    return Work(stack, visitor, page.path)


def last_number(page: Page) -> int:
    """The key in the address of the page where a form has led to."""
    assert page.status == 200, f"{page.status}: {page.text[:1500]}"
    parts = [part for part in page.path.split("/") if part.isdecimal()]
    assert parts, f"{page.path} shows no single thing: {page.text[:1500]}"
    return int(parts[-1])
