from django.db import models


class TimeStampedModel(models.Model):
    """Rows that know when they were made and last changed. `update()` bypasses `updated_at`: pass it there."""

    created_at = models.DateTimeField(auto_now_add=True, editable=False)
    updated_at = models.DateTimeField(auto_now=True, editable=False)

    class Meta:
        abstract = True
