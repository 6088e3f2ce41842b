"""Every change to datasets, imports and versions, by operation."""

from apps.datasets.services.changes import (
    change_again,
    change_request,
    change_run,
    change_stopped,
    change_undo_request,
    merge_request,
    restore_request,
)
from apps.datasets.services.check_facts import facts_help
from apps.datasets.services.check_running import checks_run, checks_stopped
from apps.datasets.services.checks import checks_request, finding_decide
from apps.datasets.services.datasets import (
    DAYS_IN_TRASH,
    dataset_create,
    dataset_delete,
    dataset_purge,
    dataset_restore,
    dataset_update,
    trash_empty,
)
from apps.datasets.services.filters import filter_delete, filter_save
from apps.datasets.services.finding_deciding import (
    finding_decide_request,
    finding_decide_run,
    finding_decide_stopped,
)
from apps.datasets.services.import_checking import (
    import_check,
    import_check_stopped,
)
from apps.datasets.services.import_committing import import_commit, import_commit_stopped
from apps.datasets.services.import_fetching import (
    import_fetch,
    import_fetch_stopped,
    import_from_path,
    import_from_upload,
    import_from_url,
)
from apps.datasets.services.import_rejects import import_rejected_rows, rejected_file_name
from apps.datasets.services.imports import (
    MAPPABLE,
    import_check_again,
    import_commit_request,
    import_create,
    import_discard,
    import_map,
    import_upload,
)
from apps.datasets.services.rows import (
    RowProblemsError,
    StaleRowError,
    row_add,
    row_bring_back,
    row_edit,
    row_remove,
    row_tag,
)
from apps.datasets.services.saved_mappings import mapping_delete, mapping_rename, mapping_save
from apps.datasets.services.taking_in import (
    FileToTake,
    TakingInError,
    files_take_in,
    mapping_into,
    taking_in_step,
)
from apps.datasets.services.uploads import (
    PIECE_BYTES,
    upload_begin,
    upload_receive,
    upload_refuse_too_large,
    uploads_remove_abandoned,
)
from apps.datasets.services.version_diffing import version_diff
from apps.datasets.services.version_freezing import version_freeze, version_freeze_stopped
from apps.datasets.services.versions import version_delete, version_freeze_again, version_freeze_request

__all__ = [
    "DAYS_IN_TRASH",
    "MAPPABLE",
    "FileToTake",
    "RowProblemsError",
    "StaleRowError",
    "TakingInError",
    "change_again",
    "change_request",
    "change_run",
    "change_stopped",
    "change_undo_request",
    "checks_request",
    "checks_run",
    "checks_stopped",
    "facts_help",
    "PIECE_BYTES",
    "dataset_create",
    "dataset_delete",
    "dataset_purge",
    "dataset_restore",
    "dataset_update",
    "files_take_in",
    "filter_delete",
    "filter_save",
    "finding_decide",
    "finding_decide_request",
    "finding_decide_run",
    "finding_decide_stopped",
    "import_check",
    "import_check_again",
    "import_check_stopped",
    "import_commit",
    "import_commit_request",
    "import_commit_stopped",
    "import_create",
    "import_discard",
    "import_fetch",
    "import_fetch_stopped",
    "import_from_path",
    "import_from_upload",
    "import_from_url",
    "import_map",
    "import_rejected_rows",
    "import_upload",
    "mapping_delete",
    "mapping_into",
    "mapping_rename",
    "mapping_save",
    "merge_request",
    "rejected_file_name",
    "restore_request",
    "row_add",
    "row_bring_back",
    "row_edit",
    "row_remove",
    "row_tag",
    "taking_in_step",
    "trash_empty",
    "upload_begin",
    "upload_receive",
    "upload_refuse_too_large",
    "uploads_remove_abandoned",
    "version_delete",
    "version_diff",
    "version_freeze",
    "version_freeze_again",
    "version_freeze_request",
    "version_freeze_stopped",
]
