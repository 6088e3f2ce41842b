"""Every address under /v1, with what it takes to ask it."""

from apps.accounts.permissions import Permission
from apps.gateway.calls import Route
from apps.gateway.handlers import chat, files, fine_tuning, graders, models, permissions, progress, webhooks

VIEW, EDIT, TRAIN = Permission.VIEW, Permission.EDIT_DATA, Permission.TRAIN
EVALUATE, KEYS = Permission.EVALUATE, Permission.MANAGE_KEYS
JOBS = "/fine_tuning/jobs"
SHARING = "/fine_tuning/checkpoints/{model}/permissions"
GRADERS = "/fine_tuning/alpha/graders"
CHATS = "/chat/completions"
HOOKS = "/webhook_endpoints"

ROUTES = [
    Route("POST", "/files", files.create, EDIT, repeatable=True),
    Route("GET", "/files", files.listing, VIEW),
    Route("GET", "/files/{file_id}", files.retrieve, VIEW),
    Route("DELETE", "/files/{file_id}", files.delete, EDIT),
    Route("GET", "/files/{file_id}/content", files.content, VIEW),
    Route("POST", JOBS, fine_tuning.create, TRAIN, repeatable=True),
    Route("GET", JOBS, fine_tuning.listing, VIEW),
    Route("GET", f"{JOBS}/{{job_id}}", fine_tuning.retrieve, VIEW),
    Route("POST", f"{JOBS}/{{job_id}}/cancel", fine_tuning.cancel, TRAIN),
    Route("POST", f"{JOBS}/{{job_id}}/pause", fine_tuning.pause, TRAIN),
    Route("POST", f"{JOBS}/{{job_id}}/resume", fine_tuning.resume, TRAIN),
    Route("GET", f"{JOBS}/{{job_id}}/events", progress.events, VIEW),
    Route("GET", f"{JOBS}/{{job_id}}/checkpoints", progress.checkpoints, VIEW),
    Route("POST", SHARING, permissions.create, TRAIN, repeatable=True),
    Route("GET", SHARING, permissions.listing, VIEW),
    Route("DELETE", f"{SHARING}/{{permission_id}}", permissions.delete, TRAIN),
    Route("POST", f"{GRADERS}/run", graders.run, VIEW),
    Route("POST", f"{GRADERS}/validate", graders.validate, VIEW),
    Route("GET", "/models", models.listing, VIEW),
    Route("GET", "/models/{model}", models.retrieve, VIEW),
    Route("DELETE", "/models/{model}", models.delete, TRAIN),
    Route("POST", CHATS, chat.create, VIEW, repeatable=True),
    Route("GET", CHATS, chat.listing, VIEW),
    Route("GET", f"{CHATS}/{{completion_id}}", chat.retrieve, VIEW),
    Route("POST", f"{CHATS}/{{completion_id}}", chat.update, EVALUATE),
    Route("DELETE", f"{CHATS}/{{completion_id}}", chat.delete, EVALUATE),
    Route("GET", f"{CHATS}/{{completion_id}}/messages", chat.messages, VIEW),
    Route("POST", HOOKS, webhooks.create, KEYS, repeatable=True),
    Route("GET", HOOKS, webhooks.listing, VIEW),
    Route("GET", f"{HOOKS}/{{endpoint_id}}", webhooks.retrieve, VIEW),
    Route("POST", f"{HOOKS}/{{endpoint_id}}", webhooks.update, KEYS),
    Route("DELETE", f"{HOOKS}/{{endpoint_id}}", webhooks.delete, KEYS),
    Route("POST", f"{HOOKS}/{{endpoint_id}}/rotate_secret", webhooks.rotate_secret, KEYS),
    Route("POST", f"{HOOKS}/{{endpoint_id}}/test", webhooks.test, KEYS),
]
