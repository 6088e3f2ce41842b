"""Datasets by API: what the pages can do, with the same services."""

from apps.datasets.api.checks import router as checks
from apps.datasets.api.datasets import router as datasets
from apps.datasets.api.imports import router as imports
from apps.datasets.api.rows import router as rows
from apps.datasets.api.uploads import router as uploads
from apps.datasets.api.versions import router as versions

routers = (datasets, imports, uploads, rows, checks, versions)

__all__ = ["routers"]
