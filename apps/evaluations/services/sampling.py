"""How much a variant may say."""

from django.db.models import Max
from django.db.models.functions import Length

from apps.evaluations.models import Suite, SuiteItem

LEAST_TOKENS, MOST_TOKENS = 32, 1024


def answer_tokens(*suites: Suite) -> int:
    """Room for every expected answer: two characters to a token is cautious for every tokenizer in use."""
    longest = SuiteItem.objects.filter(suite__in=suites).aggregate(longest=Max(Length("expected")))["longest"]
    return min(MOST_TOKENS, max(LEAST_TOKENS, (longest or 0) // 2 + 16))
