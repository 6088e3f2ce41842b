"""Which of the browser packages' files are served."""

from django.contrib.staticfiles.apps import StaticFilesConfig


class ServedStaticFiles(StaticFilesConfig):
    """Without source maps and the parts of Tabler that no page uses (they also need its 600 pictures)."""

    ignore_patterns = [*StaticFilesConfig.ignore_patterns, "*.map", "*.rtl.*", "tabler-*.css"]
