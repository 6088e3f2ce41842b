from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.accounts.models import User, Workspace
from apps.accounts.permissions import Role
from apps.accounts.services import api_key_create
from apps.core.request_context import acting_from


class Command(BaseCommand):
    help = "Make an API key that acts as a member of a workspace, and print it once."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", help="What will use the key")
        parser.add_argument("--email", help="The member it acts as (default: the only owner)")
        parser.add_argument("--workspace", help="Its address, as in /w/<workspace>/ (default: the only one)")

    def handle(self, *args: Any, **options: Any) -> None:
        workspaces = Workspace.objects.all()
        if options["workspace"]:
            workspaces = workspaces.filter(slug=options["workspace"])
        if workspaces.count() != 1:
            known = ", ".join(Workspace.objects.values_list("slug", flat=True)) or "none yet"
            raise CommandError(f"Name one workspace with --workspace. Known: {known}.")
        workspace = workspaces.get()
        users = User.objects.filter(memberships__workspace=workspace)
        users = (
            users.filter(email__iexact=options["email"])
            if options["email"]
            else users.filter(memberships__role=Role.OWNER)
        )
        if users.count() != 1:
            raise CommandError("Name the member with --email.")
        with acting_from("command"):
            _, text = api_key_create(workspace=workspace, user=users.get(), name=options["name"])
        self.stdout.write(text)
