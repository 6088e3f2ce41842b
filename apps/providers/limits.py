"""What can be told to be wrong with a remote job from an adapter's own limits."""

from collections.abc import Iterator
from datetime import date

from apps.core.formatting import format_bytes, format_number
from apps.providers.contracts import Problem
from apps.providers.remote import DataFacts, RemoteNumber, RemoteRequest, Support


def limit_problems(support: Support, request: RemoteRequest, data: DataFacts) -> list[Problem]:
    """Everything in the request and its files that is beyond the limits."""
    return [*_of_data(support, request, data), *_of_numbers(support, request)]


def ending_problems(model: str, end: date | None, today: date) -> list[Problem]:
    """A model whose end is announced, or past."""
    if end is None:
        return []
    if end <= today:
        message = f"{model} was shut down on {end:%d %B %Y}. Choose another base model."
        return [Problem(code="base_model_ended", field="base_model", message=message)]
    message = (
        f"{model} will be shut down on {end:%d %B %Y}, and models tuned from it with it: after that day nothing of this"
        " job answers any more."
    )
    return [Problem(code="base_model_ends", field="base_model", message=message, severity="warning")]


def _of_data(support: Support, request: RemoteRequest, data: DataFacts) -> Iterator[Problem]:
    rows = data.rows + (data.validation_rows if support.counts_both else 0)
    which = "training and validation rows together" if support.counts_both else "training rows"
    if rows < support.fewest_rows:
        yield Problem(
            code="too_few_rows",
            field="training_file",
            message=f"At least {format_number(support.fewest_rows)} {which} are needed, and there are"
            f" {format_number(rows)}.",
        )
    if support.most_rows is not None and rows > support.most_rows:
        yield Problem(
            code="too_many_rows",
            field="training_file",
            message=f"At most {format_number(support.most_rows)} {which} are taken, and there are"
            f" {format_number(rows)}.",
        )
    if support.most_bytes is not None and data.bytes is not None and data.bytes > support.most_bytes:
        yield Problem(
            code="file_too_large",
            field="training_file",
            message=f"A file may have {format_bytes(support.most_bytes)}, and this one has {format_bytes(data.bytes)}.",
        )
    if data.validation_rows and not support.takes_validation:
        yield Problem(
            code="no_validation_taken",
            field="validation_file",
            severity="warning",
            message="The provider takes no validation rows: overfitting can't be seen while it trains.",
        )
    if support.most_validation_rows is not None and data.validation_rows > support.most_validation_rows:
        yield Problem(
            code="too_many_validation_rows",
            field="validation_file",
            message=f"At most {format_number(support.most_validation_rows)} validation rows are taken, and there are"
            f" {format_number(data.validation_rows)}.",
        )
    longest = data.longest_row_tokens
    if support.most_tokens_a_row is not None and longest is not None and longest > support.most_tokens_a_row:
        yield Problem(
            code="row_too_long",
            field="training_file",
            severity="error" if support.refuses_long_rows else "warning",
            message=f"The longest row has {format_number(longest)} tokens, and "
            + (
                f"a file with a row of more than {format_number(support.most_tokens_a_row)} is refused."
                if support.refuses_long_rows
                else f"the end of what is beyond {format_number(support.most_tokens_a_row)} is cut off."
            ),
        )


def _of_numbers(support: Support, request: RemoteRequest) -> Iterator[Problem]:
    taken = {number.name: number for number in support.numbers}
    for name, value in request.hyperparameters.items():
        number = taken.get(name)
        if number is None:
            yield Problem(
                code="unknown_hyperparameter",
                field=name,
                message=f"The provider takes no “{name}”. Leave it out.",
            )
        elif not number.low <= value <= number.high or number.whole and value != int(value):
            yield Problem(
                code="hyperparameter_out_of_range",
                field=name,
                message=f"“{name}” is {_kind(number)} from {format_number(number.low)} to"
                f" {format_number(number.high)}, and not {format_number(value)}.",
            )
    if request.seed is not None and not support.takes_seed:
        yield Problem(
            code="no_seed_taken",
            field="seed",
            severity="warning",
            message="The provider takes no seed: the same job gives another model each time.",
        )


def _kind(number: RemoteNumber) -> str:
    return "a whole number" if number.whole else "a number"
