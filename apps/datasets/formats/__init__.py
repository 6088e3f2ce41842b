"""Reading files of rows as streams, whatever their format: JSON lines, JSON, CSV, Parquet, exports, also compressed.

Plain Python. Memory stays within a few megabytes and the limit of a row, however long the file is or claims to be.
"""

from apps.datasets.formats.reading import Reading, read_records
from apps.datasets.formats.recognition import recognise
from apps.datasets.formats.records import FileError, Record
from apps.datasets.formats.source import Source

__all__ = ["FileError", "Reading", "Record", "Source", "read_records", "recognise"]
