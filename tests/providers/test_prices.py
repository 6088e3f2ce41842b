"""Expected amounts: OpenAI's published prices for fine-tuning of May 2026 (gpt-4.1-mini $5 a million training tokens,
tuned answers $0.80 in and $3.20 out; gpt-4o-mini $3); end of life: its page of deprecations (14 January 2027)."""

from datetime import date
from decimal import Decimal

import pytest

from apps.audit.models import AuditEvent
from apps.providers.lifetimes import life_of
from apps.providers.models import Connection
from apps.providers.prices import cost_text, price_text
from apps.providers.selectors import price_for
from apps.providers.services import price_remove, price_set

OPENAI = frozenset({"api.openai.com"})
SPACE = "\u00a0"


@pytest.fixture
def openai_itself(workspace) -> Connection:
    return Connection(
        workspace=workspace, provider="openai", settings={"base_url": "https://api.openai.com/v1"}
    )


@pytest.fixture
def somewhere_else(workspace) -> Connection:
    return Connection(
        workspace=workspace, provider="openai", settings={"base_url": "https://models.example/v1"}
    )


def say(workspace, by, model, amount, **changes):
    given = {
        "provider": "openai",
        "kind": "training",
        "currency": "EUR",
        "as_of": date(2026, 11, 1),
        "by": by,
    }
    return price_set(workspace=workspace, model=model, amount=Decimal(amount), **(given | changes))


@pytest.mark.django_db
class TestPrices:
    def find(self, workspace, model, connection, kind="training", objective="supervised"):
        return price_for(
            workspace=workspace,
            provider="openai",
            model=model,
            kind=kind,
            objective=objective,
            connection=connection,
        )

    def test_shipped_prices_have_a_date_and_a_source(self, workspace, openai_itself):
        found = self.find(workspace, "gpt-4.1-mini-2025-04-14", openai_itself)
        assert found is not None
        assert (found.amount, found.currency, found.as_of) == (Decimal("5"), "USD", date(2026, 5, 7))
        assert found.source
        assert not found.own
        assert found.is_old(date(2026, 11, 22))
        answers = [
            self.find(workspace, "gpt-4.1-mini-2025-04-14", openai_itself, kind)
            for kind in ("input", "output")
        ]
        assert [each and each.amount for each in answers] == [Decimal("0.80"), Decimal("3.20")]

    def test_they_count_for_the_server_they_were_published_for(self, workspace, somewhere_else):
        assert self.find(workspace, "gpt-4.1-mini-2025-04-14", somewhere_else) is None
        assert self.find(workspace, "gpt-4.1-mini-2025-04-14", None) is None

    def test_what_nobody_said_is_unknown(self, workspace, openai_itself):
        assert self.find(workspace, "gpt-9", openai_itself) is None
        assert self.find(workspace, "gpt-4.1-mini-2025-04-14", openai_itself, objective="dpo") is None

    def test_the_workspaces_own_stands_before_the_shipped(self, workspace, people, somewhere_else):
        say(workspace, people.lea, "gpt-4*", "9")
        say(workspace, people.lea, "gpt-4.1*", "7")
        say(workspace, people.lea, "gpt-4.1-mini-2025-04-14", "4.5")
        found = [
            self.find(workspace, model, somewhere_else)
            for model in ("gpt-4o-mini-2024-07-18", "gpt-4.1-2025-04-14", "gpt-4.1-mini-2025-04-14")
        ]
        assert [(each.amount, each.own) for each in found if each] == [
            (Decimal("9"), True),
            (Decimal("7"), True),
            (Decimal("4.5"), True),
        ]

    def test_answers_cost_the_same_however_a_model_was_tuned(self, workspace, people):
        say(workspace, people.lea, "m", "2", kind="input", objective="dpo")
        found = price_for(workspace=workspace, provider="openai", model="m", kind="input", objective="dpo")
        assert found is not None
        assert found.amount == 2

    def test_another_workspace_has_its_own(self, workspace, other_workspace, people):
        say(workspace, people.lea, "m", "2")
        assert price_for(workspace=other_workspace, provider="openai", model="m", kind="training") is None

    def test_a_price_is_replaced_and_removed_on_record(self, workspace, people):
        say(workspace, people.lea, "m", "2")
        again = say(workspace, people.ann, "m", "2.50")
        assert [
            (event.action, (event.before or {}).get("amount"), (event.after or {}).get("amount"))
            for event in AuditEvent.objects.filter(action="price.said").order_by("pk")
        ] == [("price.said", None, "2"), ("price.said", "2", "2.5")]
        say(workspace, people.ann, "m", "2.50")
        assert AuditEvent.objects.filter(action="price.said").count() == 2, "nothing changed"
        price_remove(price=again, by=people.ann)
        assert price_for(workspace=workspace, provider="openai", model="m", kind="training") is None

    def test_a_cost_is_tokens_times_the_price_of_a_million(self, workspace, openai_itself):
        found = self.find(workspace, "gpt-4o-mini-2024-07-18", openai_itself)
        assert found is not None
        # 86,120 tokens: what OpenAI's cookbook reckons for its example file; 3 USD a million.
        assert found.cost(86_120) == Decimal("0.2584")


def test_amounts_keep_their_digits_and_small_costs_are_not_nothing():
    assert price_text(Decimal("3.2000"), "USD") == f"3.20{SPACE}USD"
    assert price_text(Decimal("0.0375"), "USD") == f"0.0375{SPACE}USD"
    assert price_text(Decimal("25"), "USD") == f"25.00{SPACE}USD"
    assert cost_text(Decimal("0.0012"), "USD") == f"under 0.01{SPACE}USD"
    assert cost_text(Decimal("0"), "USD") == f"0.00{SPACE}USD"


# --- End of life ----------------------------------------------------------------------------------------------------

TODAY = date(2026, 11, 22)


def life(model, provider="openai", hosts=OPENAI, **told):
    return life_of(provider=provider, model=model, today=TODAY, hosts=hosts, **told)


def test_the_shipped_list_says_when_a_model_ends_and_training_with_it():
    found = life("gpt-4.1-mini-2025-04-14")
    assert found is not None
    assert (found.end_of_life, found.training_ends) == (date(2027, 1, 14), date(2027, 1, 6))
    assert (found.days, found.tone, found.short) == (53, "attention", "ends 14 Jan 2027")
    assert found.sentence == (
        "Its provider shuts it down on 14 Jan 2027, in 53 days, and what was tuned on it with it."
        " Its provider takes no new training jobs after 6 Jan 2027, in 45 days."
    )


def test_a_model_that_is_gone_says_so():
    for model, provider, hosts in [
        ("gpt-3.5-turbo-0125", "openai", OPENAI),
        ("anthropic.claude-3-haiku-20240307-v1:0:200k", "bedrock", frozenset()),
    ]:
        found = life(model, provider, hosts)
        assert found is not None
        assert found.is_over
        assert found.tone == "failed"
        assert found.short.startswith("ended ")


def test_another_server_of_the_protocol_has_ends_of_its_own():
    assert life("gpt-4.1-mini-2025-04-14", hosts=frozenset({"models.example"})) is None
    assert life("llama", "together", frozenset()) is None


def test_the_listing_stands_before_what_was_noted_and_what_ships():
    listed, noted = date(2028, 1, 1), date(2027, 6, 1)
    both = life("gpt-4.1-mini-2025-04-14", listed=listed, noted=noted)
    assert both is not None
    assert both.end_of_life == listed
    alone = life("gpt-4.1-mini-2025-04-14", noted=noted)
    assert alone is not None
    assert alone.end_of_life == noted
    far = life("x", provider="together", hosts=frozenset(), listed=listed)
    assert far is not None
    assert (far.tone, far.training_ends) == ("neutral", None)


def test_the_last_day_is_a_day_on_which_it_still_trains():
    on_it = life_of(provider="openai", model="gpt-x", today=date(2027, 1, 6), hosts=OPENAI)
    after = life_of(provider="openai", model="gpt-x", today=date(2027, 1, 7), hosts=OPENAI)
    assert on_it is not None
    assert after is not None
    assert (on_it.is_trainable_no_more, after.is_trainable_no_more) == (False, True)
    assert on_it.sentence.endswith("6 Jan 2027, today.")
    assert after.sentence == "Its provider took its last training jobs on 6 Jan 2027."
