"""The pages of the main job: where to click and where to read. What must be true stands in the tests."""

import re
from pathlib import Path

from playwright.sync_api import Locator, Page

BACKGROUND = 240_000.0  # milliseconds for background work on a busy machine


class Screen:
    def __init__(self, page: Page) -> None:
        self.page = page

    @property
    def title(self) -> Locator:
        return self.page.get_by_role("heading", level=1)

    def stage(self, name: str) -> None:
        """A stage of the project, from the side bar."""
        self.page.get_by_role("navigation", name="Project").get_by_role("link", name=name).click()

    def primary(self, name: str) -> Locator:
        """The primary action of the page."""
        return self.page.locator(".btn-primary").filter(has_text=name)


class SignIn(Screen):
    def enter(self, email: str, password: str) -> None:
        self.page.goto("/sign-in/")
        self.page.get_by_label("E-mail").fill(email)
        self.page.get_by_label("Password").fill(password)
        self.page.get_by_role("button", name="Sign in").click()

    def leave(self) -> None:
        self.page.get_by_role("button", name=re.compile("^Account of")).click()
        self.page.get_by_role("button", name="Sign out").click()


class Projects(Screen):
    def create(self, name: str, goal: str) -> None:
        self.page.get_by_role("link", name="New project").first.click()
        self.page.get_by_label("Name").fill(name)
        self.page.get_by_label("Goal").fill(goal)
        self.primary("Create project").click()


class Data(Screen):
    def upload(self, file: Path) -> None:
        self.page.get_by_role("link", name="Import a file").first.click()
        self.page.locator("input[type=file]").set_input_files(file)
        self.primary("Upload and check").click()

    @property
    def verdict(self) -> Locator:
        """What the check found, or what the commit did."""
        return self.page.locator("#import .verdict")

    @property
    def problems(self) -> Locator:
        return self.page.get_by_role("region", name="Lines that did not pass").locator("tbody tr")

    def commit(self) -> None:
        self.page.get_by_role("button", name="Commit").click()

    @property
    def rows(self) -> Locator:
        return self.page.locator("#rows tbody tr")

    def search(self, words: str) -> None:
        self.page.get_by_label("Search the rows").fill(words)

    def freeze(self) -> None:
        self.page.get_by_role("link", name="Freeze a version").first.click()
        self.primary("Freeze").click()


class Training(Screen):
    def fill_in(self, **settings: str) -> None:
        """Settings by the names of their fields."""
        for name, value in settings.items():
            self.page.locator(f"[name={name}]").fill(value)

    @property
    def preview(self) -> Locator:
        return self.page.locator("#job-preview")

    @property
    def curve(self) -> Locator:
        """What the loss chart says in words; grows with its points."""
        return self.page.locator("[data-loss-summary]")

    def last_step(self) -> int:
        """The step of the newest point that the chart has drawn; 0 before the first."""
        steps = re.findall(r"\(smoothed\) at step (\d+)", self.curve.inner_text())
        return int(steps[0]) if steps else 0


class Evaluation(Screen):
    def upload_items(self, name: str, file: Path) -> None:
        self.page.get_by_role("link", name="Upload items").click()
        self.page.get_by_label("Name").fill(name)
        self.page.locator("input[type=file]").set_input_files(file)
        self.primary("Freeze the suite").click()

    @property
    def verdict(self) -> Locator:
        return self.page.locator(".verdict")

    def flip(self, name: str) -> Locator:
        """One of the filters above the items."""
        return self.page.locator(".flip-key").filter(has_text=name)

    @property
    def items(self) -> Locator:
        return self.page.locator("#items tbody tr")
