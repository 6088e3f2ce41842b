"""Files of any size in Postgres, known by what they contain."""

from django.db import models


class Blob(models.Model):
    """Content-addressed bytes, cut into chunks. Complete once `sha256` is set; then never changed."""

    # Null while the bytes come in: empty texts would collide in the unique index.
    sha256 = models.CharField(max_length=64, unique=True, null=True, editable=False)  # noqa: DJ001
    size = models.BigIntegerField(default=0, help_text="Bytes")
    content_type = models.CharField(max_length=100, default="application/octet-stream")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.CheckConstraint(condition=models.Q(size__gte=0), name="blob_size_not_negative")]

    def __str__(self) -> str:
        return f"{(self.sha256 or 'incomplete')[:12]} ({self.size} bytes)"


class BlobChunk(models.Model):
    blob = models.ForeignKey(Blob, models.CASCADE, related_name="chunks")
    index = models.PositiveIntegerField()
    data = models.BinaryField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["blob", "index"], name="one_chunk_per_index")]

    def __str__(self) -> str:
        return f"chunk {self.index} of blob {self.blob_id}"
