"""Verdicts from four counts."""

from apps.evaluations.verdict import Contender, GeneralSkill, Rules, Verdict, decide

PLAIN = Rules(minimum_format_compliance=None)


def outcomes(fixed: int, broken: int, right: int, wrong: int) -> tuple[list[bool | None], list[bool | None]]:
    """Outcomes of candidate and baseline with these four counts."""
    pairs = (
        [(True, False)] * fixed + [(False, True)] * broken + [(True, True)] * right + [(False, False)] * wrong
    )
    candidate: list[bool | None] = [pair[0] for pair in pairs]
    baseline: list[bool | None] = [pair[1] for pair in pairs]
    return candidate, baseline


def verdict_of(fixed: int, broken: int, right: int, wrong: int, rules: Rules = PLAIN) -> Verdict:
    candidate, baseline = outcomes(fixed, broken, right, wrong)
    return decide(
        candidate=Contender(name="Fine-tuned", outcomes=candidate),
        baselines=[Contender(name="the best prompt", outcomes=baseline)],
        rules=rules,
    )


def plain(text: str) -> str:
    """With ordinary spaces and commas, to compare by eye."""
    return text.replace("\u00a0", " ").replace("\u202f", ",")


def general(tuned: int, base_only: int, both: int, neither: int) -> GeneralSkill:
    after, before = outcomes(tuned, base_only, both, neither)
    return GeneralSkill(base=before, tuned=after)
