"""One item with what every contender said."""

import json

from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render

from apps.accounts.permissions import Permission
from apps.evaluations.models import Answer, SuiteItem
from apps.evaluations.selectors.comparisons import contenders_of
from apps.evaluations.views.comparisons import get_comparison
from apps.projects.access import ProjectRequest, project_view
from apps.registry.prompts import messages_for
from apps.scoring.answers import form_from_dict, parse_answer


@project_view(Permission.VIEW)
def item(request: ProjectRequest, pk: int, item_pk: int) -> HttpResponse:
    comparison = get_comparison(request, pk)
    suites = [comparison.suite_id, comparison.general_suite_id]
    found = get_object_or_404(SuiteItem.objects.select_related("suite"), pk=item_pk, suite_id__in=suites)
    contenders = contenders_of(comparison)
    shown = contenders.task if found.suite_id == comparison.suite_id else contenders.general
    form = form_from_dict(found.suite.answer_form)
    given = {
        answer.run_id: answer
        for answer in Answer.objects.filter(item=found, run__in=[one.run.pk for one in shown if one.run])
    }
    answers = []
    for contender in shown:
        answer = given.get(contender.run.pk) if contender.run else None
        answers.append(
            {
                "contender": contender,
                "answer": answer,
                "problems": parse_answer(form, answer.text).problems if answer and not answer.error else (),
                "sent": messages_for(contender.variant, found.messages),
            }
        )
    context = {
        "comparison": comparison,
        "item": found,
        "tools_json": json.dumps(found.tools, indent=2, ensure_ascii=False),
        "answers": answers,
    }
    return render(request, "evaluations/item.html", context)
