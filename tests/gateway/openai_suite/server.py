"""The server that the published tests of the openai client are run against: the real gateway and database, with the
ids that those tests make up. A stub stands for the models. `POST /reset` puts everything back.

    python -m ftportal.embedded --temporary -- python -m tests.gateway.openai_suite.server PORT
"""

import os
import sys
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ftportal.settings")
os.environ["FTPORTAL_API_REQUESTS_PER_MINUTE"] = "0"

import django
import uvicorn
from django.conf import settings
from django.core.management import call_command

KEY = "My API Key"
TUNED = (
    "ft:gpt-4o-mini:acemeco:suffix:abc123",
    "ft:gpt-4o-mini-2024-07-18:org:weather:B7R9VjQd",
    "ft-AF1WoRqd3aJAHsqc9NY7iL8F",
)


def seed() -> None:
    from apps.accounts.models import ApiKey, User
    from apps.accounts.services import workspace_create
    from apps.accounts.tokens import token_hash

    user = User.objects.create_user("suite@example.org", None)
    workspace = workspace_create(name="Suite", by=user)
    ApiKey.objects.create(
        workspace=workspace, user=user, name="suite", prefix="suite", key_hash=token_hash(KEY)
    )
    seed_things()


def seed_things() -> None:
    """What the tests name. Made by the services where they can be; given the ids that the tests expect."""
    from apps.accounts.models import User, Workspace
    from apps.artifacts.storage import blob_store
    from apps.gateway.models import CheckpointPermission, File, FineTuningJob, ModelAlias, ServedModel
    from apps.gateway.services.files import file_create
    from apps.gateway.services.fine_tuning import JobRequest, fine_tuning_job_create
    from apps.gateway.services.stored_completions import stored_completion_create
    from apps.projects.services import project_create
    from apps.registry.services import base_model_ensure, model_version_create

    workspace, user = Workspace.objects.get(), User.objects.get()
    project = project_create(workspace=workspace, name="API", by=user)
    base = base_model_ensure(workspace=workspace, reference="ftportal-tiny", actor=user)
    for name in ("gpt-4o-mini", "gpt-6-astra"):
        ModelAlias.objects.create(workspace=workspace, name=name, base_model=base)
    rows = (
        b'{"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]}\n' * 12
    )
    for public_id in ("file-abc123", "file_id"):
        file = file_create(
            workspace=workspace,
            project=project,
            name="rows.jsonl",
            purpose="fine-tune",
            blob=blob_store(content=[rows]),
            by=user,
        )
        File.objects.filter(pk=file.pk).update(public_id=public_id)
        file.public_id = public_id
    job = fine_tuning_job_create(
        project=project,
        asked=JobRequest(
            model="gpt-4o-mini",
            base_model=base,
            training_file=file,
            validation_file=None,
            method="supervised",
            hyperparameters=dict.fromkeys(("n_epochs", "batch_size", "learning_rate_multiplier"), "auto"),
            suffix="",
            seed=42,
            metadata=None,
            integrations=None,
        ),
        by=user,
    )
    FineTuningJob.objects.filter(pk=job.pk).update(public_id="ft-AF1WoRqd3aJAHsqc9NY7iL8F")
    for number, name in enumerate(TUNED):
        version = model_version_create(
            project=project,
            base_model=base,
            kind="adapter",
            artifact=blob_store(content=[str(number).encode()]),
            name="made up",
            validation_loss=None,
            best_step=None,
            actor=user,
        )
        ServedModel.objects.create(workspace=workspace, name=name, model_version=version)
    CheckpointPermission.objects.create(
        workspace=workspace,
        public_id="cp_zc4Q7MP6XxulcVzj4MZdwsAB",
        model=TUNED[1],
        project_id_text="string",
    )
    from apps.gateway.chat.shapes import usage

    stored_completion_create(
        workspace=workspace,
        completion={
            "id": "completion_id",
            "object": "chat.completion",
            "created": 1,
            "model": "gpt-4o-mini",
            "choices": [
                {
                    "index": 0,
                    "finish_reason": "stop",
                    "logprobs": None,
                    "message": {"role": "assistant", "content": "Hello", "refusal": None},
                }
            ],
            "usage": usage(prompt=1, completion=1),
        },
        request={"messages": [{"role": "assistant", "content": "Hello", "refusal": None}]},
        metadata={},
        by=user,
    )


def kept_tables() -> list[str]:
    """The tables of everything but people and keys."""
    from django.apps import apps

    left_alone = {"accounts", "auth", "contenttypes", "axes", "sessions", "admin"}
    return [
        model._meta.db_table
        for model in apps.get_models(include_auto_created=True)
        if model._meta.app_label not in left_alone and model._meta.managed
    ]


def remember() -> str:
    """Copy the rows that are there now; the statements that bring them back. Triggers and foreign keys are off then."""
    from django.db import connection

    statements = ["SET LOCAL session_replication_role = replica", "SET LOCAL synchronous_commit = off"]
    statements += [f'DELETE FROM public."{table}"' for table in kept_tables()]
    with connection.cursor() as cursor:
        cursor.execute("CREATE SCHEMA start")
        for table in kept_tables():
            cursor.execute(f'CREATE TABLE start."{table}" AS SELECT * FROM public."{table}"')
            if cursor.rowcount > 0:
                statements.append(f'INSERT INTO public."{table}" SELECT * FROM start."{table}"')
    return ";".join(statements)


def reset(statements: str) -> None:
    """Everything but the key and its owner, as at the start."""
    from django.db import connection, transaction

    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statements)


def main() -> None:
    from tests.evaluations.inference_server import InferenceServer, say

    inference = InferenceServer()
    inference.script = lambda body: say("Hello")
    settings.FTPORTAL_INFERENCE_URL = inference.url
    django.setup()
    call_command("migrate", verbosity=0)
    seed()
    start = remember()
    from apps.gateway.application import Gateway
    from apps.gateway.database import in_thread

    gateway = Gateway()

    async def application(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and scope["path"] == "/reset":
            await in_thread(reset, start)
            await gateway.close()  # what it looked up is gone
            await send({"type": "http.response.start", "status": 204, "headers": []})
            await send({"type": "http.response.body", "body": b""})
        else:
            await gateway(scope, receive, send)

    uvicorn.run(application, port=int(sys.argv[1]), log_level="warning", lifespan="off", access_log=False)


if __name__ == "__main__":
    main()
