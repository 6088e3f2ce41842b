"""What is expected of every address: who may open it, with which method, and what its numbers refer to.

Written by hand and apart from the views, so that a view that forgets its guard disagrees with this table.
"""

from dataclasses import dataclass

PUBLIC = "public"
"""Anyone, without signing in."""
SIGNED_IN = "signed in"
"""Anyone who signed in, of whatever workspace."""

VIEWER, LABELER, REVIEWER, LEAD, OWNER = "viewer", "labeler", "reviewer", "lead", "owner"
ROLES = (VIEWER, LABELER, REVIEWER, LEAD, OWNER)
"""From the least to the most; each may do what those before it may."""


@dataclass(frozen=True)
class Expected:
    """`least` is PUBLIC, SIGNED_IN or the least role; `methods` are tried one by one; `pk` names the fixture."""

    least: str
    methods: tuple[str, ...] = ("GET",)
    pk: str = ""
    post_least: str = ""
    """Where posting needs more than looking: the least role for POST."""
    body: str = ""
    """What is sent, as JSON, by API: input that the address accepts."""

    def least_for(self, method: str) -> str:
        return self.post_least if method == "POST" and self.post_least else self.least


BOTH = ("GET", "POST")
POST = ("POST",)
ROW = '{"row": {"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]}}'

EXPECTED: dict[str, Expected] = {
    "home": Expected(SIGNED_IN),
    "health": Expected(PUBLIC),
    # --- people ---------------------------------------------------------------------------------------------
    "accounts:sign_in": Expected(PUBLIC, BOTH),
    "accounts:sign_out": Expected(PUBLIC, POST),
    "accounts:join": Expected(PUBLIC, BOTH),
    "accounts:account": Expected(SIGNED_IN, BOTH),
    "accounts:workspaces": Expected(SIGNED_IN, BOTH),
    # --- workspace ------------------------------------------------------------------------------------------
    "projects:list": Expected(VIEWER),
    "projects:create": Expected(LEAD, BOTH),
    "projects:settings": Expected(LEAD, BOTH),
    "workspace:members": Expected(VIEWER, BOTH, post_least=OWNER),
    "workspace:member_change_role": Expected(OWNER, POST, pk="membership"),
    "workspace:member_remove": Expected(OWNER, POST, pk="membership"),
    "workspace:invitation_withdraw": Expected(OWNER, POST, pk="invitation"),
    "workspace:api_keys": Expected(OWNER, BOTH),
    "workspace:api_key_withdraw": Expected(OWNER, POST, pk="api_key"),
    "gateway:api": Expected(VIEWER, BOTH, post_least=LEAD),
    "gateway:alias_remove": Expected(LEAD, POST, pk="alias"),
    "audit:events": Expected(OWNER),
    "audit:events_csv": Expected(OWNER),
    "operations:list": Expected(VIEWER),
    "operations:stream": Expected(VIEWER),
    "operations:cancel": Expected(LEAD, POST, pk="operation"),
    # --- project --------------------------------------------------------------------------------------------
    "overview:project": Expected(VIEWER),
    "overview:version_uses": Expected(VIEWER, pk="version"),
    "overview:row_uses": Expected(VIEWER, pk="example"),
    # --- data -----------------------------------------------------------------------------------------------
    "datasets:index": Expected(VIEWER),
    "datasets:sample": Expected(VIEWER),
    "datasets:upload": Expected(REVIEWER, BOTH),
    "datasets:begin_upload": Expected(REVIEWER, POST),
    "datasets:upload_piece": Expected(REVIEWER, POST, pk="upload"),
    "datasets:fetch": Expected(REVIEWER, POST),
    "datasets:import": Expected(VIEWER, pk="import"),
    "datasets:mapping": Expected(REVIEWER, BOTH, pk="import"),
    "datasets:saved_mappings": Expected(VIEWER),
    "datasets:rename_mapping": Expected(REVIEWER, POST, pk="mapping"),
    "datasets:delete_mapping": Expected(REVIEWER, POST, pk="mapping"),
    "datasets:commit": Expected(REVIEWER, POST, pk="import"),
    "datasets:discard": Expected(REVIEWER, POST, pk="import"),
    "datasets:check_again": Expected(REVIEWER, POST, pk="import"),
    "datasets:rejected_lines": Expected(VIEWER, pk="import"),
    "datasets:original_file": Expected(VIEWER, pk="import"),
    "datasets:detail": Expected(VIEWER, pk="dataset"),
    "datasets:checks": Expected(VIEWER, BOTH, pk="dataset", post_least=REVIEWER),
    "datasets:version_checks": Expected(VIEWER, BOTH, pk="version", post_least=REVIEWER),
    "datasets:finding": Expected(VIEWER, BOTH, pk="finding", post_least=REVIEWER),
    "datasets:edit": Expected(REVIEWER, BOTH, pk="dataset"),
    "datasets:delete": Expected(REVIEWER, POST, pk="dataset"),
    "datasets:freeze": Expected(REVIEWER, BOTH, pk="dataset"),
    "datasets:example": Expected(VIEWER, pk="example"),
    "datasets:trash": Expected(VIEWER),
    "datasets:restore_dataset": Expected(REVIEWER, POST, pk="deleted_dataset"),
    "datasets:add_row": Expected(REVIEWER, BOTH, pk="dataset"),
    "datasets:change_rows": Expected(REVIEWER, BOTH, pk="dataset"),
    "datasets:merge": Expected(REVIEWER, BOTH, pk="dataset"),
    "datasets:save_filter": Expected(REVIEWER, POST, pk="dataset"),
    "datasets:delete_filter": Expected(REVIEWER, POST, pk="dataset"),
    "datasets:edit_row": Expected(REVIEWER, BOTH, pk="example"),
    "datasets:remove_row": Expected(REVIEWER, POST, pk="example"),
    "datasets:bring_back_row": Expected(REVIEWER, POST, pk="example"),
    "datasets:tag_row": Expected(REVIEWER, POST, pk="example"),
    "datasets:change": Expected(VIEWER, pk="change"),
    "datasets:undo_change": Expected(REVIEWER, POST, pk="change"),
    "datasets:repeat_change": Expected(REVIEWER, POST, pk="change"),
    "datasets:compare_versions": Expected(VIEWER, pk="version"),
    "datasets:restore_version": Expected(REVIEWER, POST, pk="version"),
    "datasets:version": Expected(VIEWER, pk="version"),
    "datasets:version_rows": Expected(VIEWER, pk="version"),
    "datasets:download": Expected(VIEWER, pk="version"),
    "datasets:exports": Expected(VIEWER, pk="version"),
    "datasets:export": Expected(VIEWER, pk="version"),
    "datasets:export_dataset": Expected(VIEWER, pk="version"),
    "datasets:manifest": Expected(VIEWER, pk="version"),
    "datasets:freeze_again": Expected(REVIEWER, POST, pk="version"),
    "datasets:delete_version": Expected(REVIEWER, POST, pk="version"),
    # --- labeling -------------------------------------------------------------------------------------------
    "labeling:index": Expected(VIEWER),
    "labeling:create": Expected(LEAD, BOTH),
    "labeling:session": Expected(REVIEWER, pk="session"),
    "labeling:edit": Expected(LEAD, BOTH, pk="draft_session"),
    "labeling:open": Expected(LEAD, POST, pk="draft_session"),
    "labeling:pause": Expected(LEAD, POST, pk="session"),
    "labeling:close": Expected(LEAD, POST, pk="session"),
    "labeling:add_question": Expected(LEAD, BOTH, pk="draft_session"),
    "labeling:question": Expected(LEAD, BOTH, pk="question"),
    "labeling:remove_question": Expected(LEAD, POST, pk="question"),
    "labeling:move_question": Expected(LEAD, POST, pk="question"),
    "labeling:release": Expected(LEAD, POST, pk="seat"),
    "labeling:drafts": Expected(LEAD, BOTH, pk="session"),
    "labeling:items": Expected(REVIEWER, pk="session"),
    "labeling:item": Expected(REVIEWER, pk="item"),
    "labeling:comment": Expected(REVIEWER, POST, pk="item"),
    "labeling:settle_flag": Expected(REVIEWER, POST, pk="flag"),
    "labeling:create_guideline": Expected(LEAD, BOTH),
    "labeling:guideline": Expected(VIEWER, pk="guideline"),
    "labeling:guideline_version": Expected(VIEWER, pk="guideline"),
    "labeling:edit_guideline": Expected(LEAD, BOTH, pk="guideline"),
    "labeling:mine": Expected(LABELER, pk="session"),
    "labeling:confirm_label": Expected(LABELER, POST, pk="session"),
    "labeling:reopen_label": Expected(LABELER, POST, pk="session"),
    "labeling:read_thread": Expected(LABELER, POST, pk="session"),
    "labeling:work": Expected(LABELER, pk="session"),
    "labeling:claim": Expected(LABELER, POST, pk="session"),
    "labeling:submit": Expected(LABELER, POST, pk="session"),
    "labeling:save": Expected(LABELER, POST, pk="session"),
    "labeling:heartbeat": Expected(LABELER, POST, pk="session"),
    "labeling:skip": Expected(LABELER, POST, pk="session"),
    "labeling:flag": Expected(LABELER, POST, pk="session"),
    "labeling:undo": Expected(LABELER, POST, pk="session"),
    "labeling:comments": Expected(LABELER, POST, pk="session"),
    "labeling:agreement": Expected(REVIEWER, pk="session"),
    "labeling:agreement_items": Expected(REVIEWER, pk="session"),
    "labeling:decide_gate": Expected(LEAD, POST, pk="session"),
    "labeling:overrule_gate": Expected(LEAD, POST, pk="session"),
    "labeling:adjudication": Expected(REVIEWER, pk="session"),
    "labeling:take_majority": Expected(LEAD, POST, pk="session"),
    "labeling:judge": Expected(REVIEWER, BOTH, pk="judged_item"),
    "labeling:set_aside": Expected(REVIEWER, POST, pk="judged_item"),
    "labeling:reopen": Expected(LEAD, POST, pk="judged_item"),
    "labeling:review": Expected(REVIEWER, pk="session"),
    "labeling:accept_label": Expected(REVIEWER, POST, pk="label"),
    "labeling:return_label": Expected(REVIEWER, POST, pk="label"),
    "labeling:outcome": Expected(REVIEWER, BOTH, pk="session"),
    "labeling:repeat_outcome": Expected(REVIEWER, POST, pk="outcome"),
    "labeling:export_labels": Expected(LEAD, pk="session"),
    "labeling:import_labels": Expected(LEAD, BOTH, pk="session"),
    "labeling:label_import": Expected(LEAD, BOTH, pk="imported_session"),
    # --- training -------------------------------------------------------------------------------------------
    "jobs:index": Expected(VIEWER),
    "jobs:create": Expected(LEAD, BOTH),
    "jobs:compare": Expected(VIEWER),
    "jobs:detail": Expected(VIEWER, pk="job"),
    "jobs:cancel": Expected(LEAD, POST, pk="job"),
    "jobs:pause": Expected(LEAD, POST, pk="job"),
    "jobs:resume": Expected(LEAD, POST, pk="job"),
    "jobs:metrics": Expected(VIEWER, pk="job"),
    "jobs:csv": Expected(VIEWER, pk="job"),
    "jobs:log": Expected(VIEWER, pk="job"),
    "jobs:stream": Expected(VIEWER, pk="job"),
    # --- evaluation -----------------------------------------------------------------------------------------
    "evaluations:index": Expected(VIEWER),
    "evaluations:create": Expected(LEAD, BOTH),
    "evaluations:preview": Expected(LEAD),
    "evaluations:answer_form": Expected(LEAD, BOTH),
    "evaluations:upload_suite": Expected(LEAD, BOTH),
    "evaluations:add_general_suite": Expected(LEAD, POST),
    "evaluations:suite": Expected(VIEWER, pk="suite"),
    "evaluations:comparison": Expected(VIEWER, pk="comparison"),
    "evaluations:resume": Expected(LEAD, POST, pk="comparison"),
    "evaluations:provenance": Expected(VIEWER, pk="comparison"),
    "evaluations:item": Expected(VIEWER, pk="comparison"),
    # --- models ---------------------------------------------------------------------------------------------
    "registry:index": Expected(VIEWER),
    "registry:add_base_model": Expected(LEAD, BOTH),
    "registry:variants": Expected(VIEWER),
    "registry:variant": Expected(VIEWER, pk="variant"),
    "registry:model": Expected(VIEWER, pk="model"),
    "registry:download": Expected(VIEWER, pk="model"),
    # --- API: each operation by itself, with an API key of the person ----------------------------------------
    "api_home": Expected(PUBLIC),
    "api:api-root": Expected(PUBLIC),
    "api:openapi-json": Expected(PUBLIC),
    "api:openapi-view": Expected(PUBLIC),
    "api:projects": Expected(VIEWER),
    "api:datasets": Expected(VIEWER),
    "api:create_dataset": Expected(REVIEWER, POST, body='{"name": "By API"}'),
    "api:dataset": Expected(VIEWER, pk="dataset"),
    "api:upload": Expected(REVIEWER, POST),
    "api:fetch": Expected(REVIEWER, POST, body='{"url": "https://example.org/rows.jsonl"}'),
    "api:imports": Expected(VIEWER),
    "api:import": Expected(VIEWER, pk="import"),
    "api:problems": Expected(VIEWER, pk="import"),
    "api:rejected": Expected(VIEWER, pk="import"),
    "api:map_import": Expected(REVIEWER, POST, pk="import", body='{"preset": "chat"}'),
    "api:commit_import": Expected(REVIEWER, POST, pk="import", body="{}"),
    "api:discard_import": Expected(REVIEWER, POST, pk="import"),
    "api:begin_upload": Expected(REVIEWER, POST, body='{"file_name": "rows.jsonl", "size": 12}'),
    "api:upload_state": Expected(REVIEWER, pk="upload"),
    "api:put_piece": Expected(REVIEWER, ("PUT",), pk="upload"),
    "api:import_upload": Expected(REVIEWER, POST, pk="upload", body="{}"),
    "api:rows": Expected(VIEWER, pk="dataset"),
    "api:add_row": Expected(REVIEWER, POST, pk="dataset", body=ROW),
    "api:row": Expected(VIEWER, pk="example"),
    "api:edit_row": Expected(REVIEWER, ("PUT",), pk="example", body=ROW),
    "api:remove_row": Expected(REVIEWER, ("DELETE",), pk="example"),
    "api:dataset_checks": Expected(VIEWER, pk="dataset"),
    "api:check_dataset": Expected(REVIEWER, POST, pk="dataset"),
    "api:version_checks": Expected(VIEWER, pk="version"),
    "api:check_version": Expected(REVIEWER, POST, pk="version"),
    "api:decide": Expected(
        REVIEWER, POST, pk="finding", body='{"action": "accept", "reason": "Small on purpose"}'
    ),
    "api:versions": Expected(VIEWER, pk="dataset"),
    "api:freeze": Expected(REVIEWER, POST, pk="dataset", body="{}"),
    "api:version": Expected(VIEWER, pk="version"),
    "api:differences": Expected(VIEWER, pk="version"),
    "api:exports": Expected(VIEWER, pk="version"),
    "api:export": Expected(VIEWER, pk="version"),
    "api:manifest": Expected(VIEWER, pk="version"),
}
