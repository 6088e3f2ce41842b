"""What answers cost at a provider. Prices are those of OpenAI's price list for tuned gpt-4o-mini: 0.30 USD a million
tokens in, 1.20 USD a million out."""

from apps.evaluations.costs import cost_per_thousand
from apps.providers.models import Connection
from apps.providers.prices import PriceBook, shipped_prices
from apps.registry.models import BaseModel, ModelVersion, Variant

BOOK = PriceBook(own=(), shipped=shipped_prices())
# 100 tokens in and 10 out a call.
MEASURED = {"tokens": {"prompt": 20_000, "completion": 2_000, "calls": 205, "missing": 5}}


def variant(*, tuned: bool = True, address: str = "https://api.openai.com/v1") -> Variant:
    connection = Connection(name="Ours", provider="openai", settings={"base_url": address})
    base = BaseModel(provider="openai", connection=connection, reference="gpt-4o-mini-2024-07-18")
    return Variant(base_model=base, model_version=ModelVersion(base_model=base) if tuned else None)


def test_a_thousand_answers_of_a_tuned_model_by_its_price():
    # 100,000 tokens in: 0.03 USD; 10,000 out: 0.012 USD.
    assert cost_per_thousand(variant(), MEASURED, BOOK) == "0.04\u00a0USD"


def test_what_nobody_priced_is_unknown():
    assert cost_per_thousand(variant(tuned=False), MEASURED, BOOK) == ""
    assert cost_per_thousand(variant(address="https://models.example.org/v1"), MEASURED, BOOK) == ""
    assert cost_per_thousand(variant(), {"tokens": {"calls": 3, "missing": 3}}, BOOK) == ""
    assert cost_per_thousand(variant(), None, BOOK) == ""


def test_models_of_this_installation_have_no_price():
    own = Variant(base_model=BaseModel(provider="local", reference="somewhere"))
    assert cost_per_thousand(own, MEASURED, BOOK) == ""
