"""A command of the operator's as a trainer. docs/custom-trainers.md says what it is given and what it writes."""

from apps.providers.launching.adapter import LaunchedTrainer


class CustomTrainer(LaunchedTrainer):
    """Gets the rows as lines of chat and the settings as they are: honouring them is the command's part."""

    name = "custom"
    label = "Custom trainer"
    setting = "FTPORTAL_CUSTOM_TRAINER"
    program = "apps.providers.adapters.custom"
