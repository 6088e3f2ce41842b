"""Pages of the Data stage, by what they are about."""

from apps.datasets.views.datasets import delete, detail, edit, example, index, sample
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
from apps.datasets.views.uploads import begin_upload, upload_piece
from apps.datasets.views.versions import (
    delete_version,
    download,
    export,
    export_dataset,
    freeze,
    freeze_again,
    manifest,
    version,
    version_rows,
)

__all__ = [
    "begin_upload",
    "check_again",
    "commit",
    "delete",
    "delete_version",
    "detail",
    "discard",
    "download",
    "edit",
    "example",
    "export",
    "export_dataset",
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
    "version_rows",
]
