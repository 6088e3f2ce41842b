"""Pages of the Data stage, by what they are about."""

from apps.datasets.views.changes import (
    change,
    change_rows,
    delete_filter,
    merge,
    repeat_change,
    restore_version,
    save_filter,
    undo_change,
)
from apps.datasets.views.checks import checks, finding, version_checks
from apps.datasets.views.comparisons import compare_versions
from apps.datasets.views.datasets import delete, detail, edit, index, restore_dataset, sample, trash
from apps.datasets.views.imports import (
    check_again,
    commit,
    discard,
    fetch,
    original_file,
    rejected_lines,
    report,
    upload,
)
from apps.datasets.views.mapping import mapping
from apps.datasets.views.rows import add_row, bring_back_row, edit_row, example, remove_row, tag_row
from apps.datasets.views.uploads import begin_upload, upload_piece
from apps.datasets.views.versions import (
    delete_version,
    download,
    export,
    export_dataset,
    exports,
    freeze,
    freeze_again,
    manifest,
    version,
    version_rows,
)

__all__ = [
    "add_row",
    "bring_back_row",
    "change",
    "change_rows",
    "compare_versions",
    "delete_filter",
    "edit_row",
    "merge",
    "remove_row",
    "repeat_change",
    "restore_dataset",
    "restore_version",
    "trash",
    "save_filter",
    "tag_row",
    "undo_change",
    "begin_upload",
    "check_again",
    "checks",
    "commit",
    "delete",
    "delete_version",
    "detail",
    "discard",
    "download",
    "edit",
    "example",
    "finding",
    "export",
    "export_dataset",
    "exports",
    "fetch",
    "freeze",
    "freeze_again",
    "index",
    "manifest",
    "mapping",
    "original_file",
    "rejected_lines",
    "report",
    "sample",
    "upload",
    "upload_piece",
    "version",
    "version_checks",
    "version_rows",
]
