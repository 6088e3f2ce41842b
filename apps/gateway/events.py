"""What webhooks can tell of."""

JOB_EVENTS = ("fine_tuning.job.succeeded", "fine_tuning.job.failed", "fine_tuning.job.cancelled")
SESSION_EVENTS = {
    "labeling_session.preparing": "labeling.session.opened",
    "labeling_session.open": "labeling.session.opened",
    "labeling_session.paused": "labeling.session.paused",
    "labeling_session.closed": "labeling.session.closed",
    "labeling_session.all_labeled": "labeling.session.all_labeled",
    "labeling.gate_decided": "labeling.pilot.decided",
    "labeling.gate_overruled": "labeling.pilot.decided",
    "labeling.answers_handed_over": "labeling.answers.handed_over",
}
"""Action in the audit record -> type of the event."""
EVENT_TYPES = (*JOB_EVENTS, *dict.fromkeys(SESSION_EVENTS.values()))
