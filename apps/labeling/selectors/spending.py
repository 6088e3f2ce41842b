"""How much of people's time went into sessions, and what it costs at the project's rate."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from django.db.models import Sum

from apps.labeling.models import Participant, Session, TimeSpent, TimeUse
from apps.projects.models import Project


@dataclass(frozen=True)
class PeopleTime:
    """Seconds in front of items. What was skipped, or opened and left, is not measured."""

    labels: float
    taken_back: float
    review: float
    adjudication: float

    @property
    def total(self) -> float:
        return self.labels + self.taken_back + self.review + self.adjudication

    def __add__(self, other: "PeopleTime") -> "PeopleTime":
        return PeopleTime(
            self.labels + other.labels,
            self.taken_back + other.taken_back,
            self.review + other.review,
            self.adjudication + other.adjudication,
        )


NO_TIME = PeopleTime(0.0, 0.0, 0.0, 0.0)


@dataclass(frozen=True)
class SessionTime:
    session: Session
    time: PeopleTime
    cost: Decimal | None
    """In the project's currency; None: the rate is not known."""


@dataclass(frozen=True)
class ProjectTime:
    """Of every session that somebody worked in, the newest first, and of all together."""

    sessions: list[SessionTime]
    total: PeopleTime
    cost: Decimal | None


def time_in(sessions: Sequence[Session]) -> dict[int, PeopleTime]:
    """By session: sums of the people's counters, a few rows however many labels there are."""
    labels = Participant.objects.filter(session__in=sessions).order_by().values_list("session")
    by_session = dict(labels.annotate(seconds=Sum("seconds")))
    uses: dict[int, dict[str, float]] = defaultdict(dict)
    spent = TimeSpent.objects.filter(session__in=sessions).order_by().values_list("session", "use")
    for session_id, use, seconds in spent.annotate(seconds=Sum("seconds")):
        uses[session_id][use] = seconds
    return {
        session.pk: PeopleTime(
            by_session.get(session.pk, 0.0),
            uses[session.pk].get(TimeUse.TAKEN_BACK, 0.0),
            uses[session.pk].get(TimeUse.REVIEW, 0.0),
            uses[session.pk].get(TimeUse.ADJUDICATION, 0.0),
        )
        for session in sessions
    }


def session_time(session: Session) -> SessionTime:
    """People's time in one session, in seconds, and its cost at the project's hourly rate."""
    time = time_in([session])[session.pk]
    return SessionTime(session, time, session.project.cost_of(time.total))


def project_time(project: Project) -> ProjectTime:
    """People's time in all sessions that took any, newest first, and the sum."""
    sessions = list(Session.objects.filter(project=project).order_by("-pk"))
    found = time_in(sessions)
    worked = []
    for session in sessions:
        session.project = project
        if found[session.pk].total > 0:
            time = found[session.pk]
            worked.append(SessionTime(session, time, project.cost_of(time.total)))
    total = sum((one.time for one in worked), NO_TIME)
    return ProjectTime(worked, total, project.cost_of(total.total))
