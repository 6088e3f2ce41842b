"""People who label as told, for the tests of what happens to labels afterwards."""

from collections.abc import Mapping, Sequence
from typing import Any

from apps.accounts.models import User
from apps.labeling.models import Item, Session
from apps.labeling.services.claiming import seats_claim
from tests.labeling.worlds import submit


def label_all(session: Session, answers: Mapping[User, Sequence[Any]]) -> None:
    """Each person answers the items by their position: a label of the question `intent`, or a dict of answers."""
    for user, given in answers.items():
        for _ in given:
            leases = seats_claim(session=session, user=user, wanted=1)
            if not leases:
                break
            item = Item.objects.get(pk=leases[0].item_id)
            answer = given[item.position - 1]
            submit(session, user, leases[0], answer if isinstance(answer, dict) else {"intent": answer})


def items_of(session: Session) -> list[Item]:
    return list(Item.objects.filter(session=session).order_by("position"))
