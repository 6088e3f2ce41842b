"""Guidelines, sessions, the queue, what people say about items, drafts by models, and the outcome."""

from apps.labeling.models.drafts import Draft, DraftRun, DraftRunState
from apps.labeling.models.guidelines import Guideline, GuidelineChange, GuidelineVersion
from apps.labeling.models.outcome import (
    Cause,
    Provenance,
    Resolution,
    ResolvedAnswer,
    Review,
    ReviewVerdict,
    TimeSpent,
    TimeUse,
)
from apps.labeling.models.queue import (
    Answer,
    DraftUse,
    Item,
    ItemStage,
    Seat,
    SeatState,
    Submission,
    SubmissionState,
    Unsent,
)
from apps.labeling.models.results import LabelImport, LabelImportState, Outcome, OutcomeState
from apps.labeling.models.sessions import (
    GateState,
    ItemOrder,
    Participant,
    Question,
    QuestionKind,
    Session,
    SessionState,
)
from apps.labeling.models.talk import Comment, Flag, Skip, Unread

__all__ = [
    "Answer",
    "Cause",
    "Comment",
    "Draft",
    "DraftRun",
    "DraftRunState",
    "DraftUse",
    "Flag",
    "GateState",
    "Guideline",
    "GuidelineChange",
    "GuidelineVersion",
    "Item",
    "ItemOrder",
    "ItemStage",
    "LabelImport",
    "LabelImportState",
    "Outcome",
    "OutcomeState",
    "Participant",
    "Provenance",
    "Question",
    "QuestionKind",
    "ResolvedAnswer",
    "Resolution",
    "Review",
    "ReviewVerdict",
    "Seat",
    "SeatState",
    "Session",
    "SessionState",
    "Skip",
    "Submission",
    "SubmissionState",
    "TimeSpent",
    "TimeUse",
    "Unread",
    "Unsent",
]
