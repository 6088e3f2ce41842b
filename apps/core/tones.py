"""What a state looks like: the few tones in which colour carries meaning. The words stand beside it, always."""

NEUTRAL, WORKING, ATTENTION, DONE, FAILED = "neutral", "working", "attention", "done", "failed"

_TONES = {
    WORKING: "active cancelling checking evaluating fetching freezing importing in_progress loading preparing "
    "resuming running saving scoring starting stopping submitting training working",
    ATTENTION: "attention expired needs_attention needs_decision needs_review paused stale stalled unmapped warning",
    DONE: "accepted approved complete completed done finished frozen ok passed ready succeeded supported valid won",
    FAILED: "broken error failed invalid lost refused rejected unreachable",
}
_TONE_OF_STATE = {state: tone for tone, states in _TONES.items() for state in states.split()}


def state_tone(state: str) -> str:
    """The tone of a state by its stored value; states without a meaning of their own are neutral."""
    return _TONE_OF_STATE.get(state.lower(), NEUTRAL)
