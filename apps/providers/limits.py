"""Whether a request keeps within what an adapter says it supports: the same for every remote provider."""

from apps.core.formatting import format_bytes, format_number
from apps.providers.contracts import Problem
from apps.providers.remote import DataFacts, RemoteRequest, Support


def broken_limits(request: RemoteRequest, data: DataFacts, support: Support) -> list[Problem]:
    """What of the request the provider would refuse, by its published limits."""
    return [*_data(data, support), *_numbers(request, support), *_options(request, support)]


def _data(data: DataFacts, support: Support) -> list[Problem]:
    found = []
    if data.rows < support.fewest_rows:
        needed, held = format_number(support.fewest_rows), format_number(data.rows)
        message = f"The provider needs {needed} rows or more; there are {held}."
        found.append(Problem(code="too_few_rows", message=message))
    for code, what, count, most in (
        ("too_many_rows", "rows", data.rows, support.most_rows),
        ("too_many_validation_rows", "validation rows", data.validation_rows, support.most_validation_rows),
        ("row_too_long", "tokens in a row", data.longest_row_tokens, support.most_tokens_a_row),
    ):
        if most is not None and count is not None and count > most:
            message = (
                f"The provider takes {format_number(most)} {what} at most; there are {format_number(count)}."
            )
            found.append(Problem(code=code, message=message))
    if support.most_bytes is not None and data.bytes is not None and data.bytes > support.most_bytes:
        allowed, held = format_bytes(support.most_bytes), format_bytes(data.bytes)
        message = f"The provider takes {allowed} at most; the file is {held}."
        found.append(Problem(code="file_too_large", message=message))
    return found


def _numbers(request: RemoteRequest, support: Support) -> list[Problem]:
    found = []
    offered = {number.name: number for number in support.numbers}
    for name, value in request.hyperparameters.items():
        number = offered.get(name)
        if number is None:
            found.append(
                Problem(
                    code="unknown_hyperparameter",
                    field=name,
                    message=f"The provider has no setting “{name}” for this model. Leave it out.",
                )
            )
        elif not number.low <= value <= number.high:
            found.append(
                Problem(
                    code="hyperparameter_out_of_range",
                    field=name,
                    message=f"“{name}” must lie between {number.low:g} and {number.high:g}; it is {value:g}.",
                )
            )
        elif number.whole and value != int(value):
            found.append(
                Problem(
                    code="hyperparameter_not_whole",
                    field=name,
                    message=f"“{name}” must be a whole number; it is {value:g}.",
                )
            )
    return found


def _options(request: RemoteRequest, support: Support) -> list[Problem]:
    found = []
    if request.validation_file and not support.takes_validation:
        found.append(
            Problem(
                code="no_validation",
                message="The provider takes no validation file for this model: the loss on it can't be measured.",
                severity="warning",
            )
        )
    if request.seed is not None and not support.takes_seed:
        found.append(
            Problem(
                code="no_seed",
                field="seed",
                message="The provider takes no seed: the same job twice gives two models.",
                severity="warning",
            )
        )
    return found
