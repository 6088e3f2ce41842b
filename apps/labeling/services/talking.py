"""Comments about an item, and who has not read them yet."""

from collections.abc import Sequence

from django.db import connection, transaction
from django.db.models import F

from apps.accounts.models import User
from apps.core.errors import ConflictError, PortalError
from apps.labeling.models import Comment, Item, Session, Unread

MOST_COMMENT_CHARACTERS = 5000

# To the thread's labeler, to all who wrote in it, and to who set the session up; not to the author.
_ANNOUNCE = """
    INSERT INTO labeling_unread AS kept (session_id, item_id, thread_of_id, user_id, count, since)
    SELECT %(session)s, %(item)s, %(thread_of)s, person, 1, clock_timestamp() FROM (
        SELECT %(thread_of)s::bigint
        UNION SELECT author_id FROM labeling_comment WHERE item_id = %(item)s AND thread_of_id = %(thread_of)s
        UNION SELECT created_by_id FROM labeling_session WHERE id = %(session)s
    ) AS people(person)
    WHERE person IS NOT NULL AND person <> %(author)s
    ON CONFLICT (item_id, thread_of_id, user_id) DO UPDATE SET count = kept.count + 1"""


def comment_add(*, session: Session, item_id: int, thread_of: User, author: User, text: str) -> Comment:
    """A line in the thread between one labeler and the reviewers; the thread's other people are told."""
    text = text.strip()
    if not text or "\x00" in text or len(text) > MOST_COMMENT_CHARACTERS:
        raise PortalError(f"A comment has 1 to {MOST_COMMENT_CHARACTERS} characters.")
    with transaction.atomic():
        item = Item.objects.filter(session=session, pk=item_id).first()
        if item is None:
            raise ConflictError("This item is not part of the session any more. Reload the page.")
        comment = Comment.objects.create(item=item, thread_of=thread_of, author=author, text=text)
        Item.objects.filter(pk=item.pk).update(comment_count=F("comment_count") + 1)
        with connection.cursor() as cursor:
            cursor.execute(
                _ANNOUNCE,
                {
                    "session": session.pk,
                    "item": item.pk,
                    "thread_of": thread_of.pk,
                    "author": author.pk,
                },
            )
        threads_read(item_id=item.pk, threads_of=[thread_of.pk], user=author)
    return comment


def threads_read(*, item_id: int, threads_of: Sequence[int], user: User) -> None:
    """The person has the threads of these labelers about the item on the screen, or has answered."""
    Unread.objects.filter(item=item_id, thread_of__in=threads_of, user=user).delete()
