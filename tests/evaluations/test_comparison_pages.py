import pytest
from django.urls import reverse


def url(name, project, *args):
    return reverse(f"evaluations:{name}", args=[project.workspace.slug, project.slug, *args])


@pytest.fixture
def done(world, decided):
    comparison = world.comparison(world.suite(), general_suite=world.general_suite())
    return decided(
        comparison,
        {
            "the base model as it is": 0.1,
            "the written prompt": 0.3,
            "fine-tuned": 0.9,
            "untuned, general skills": 0.7,
            "fine-tuned, general skills": 0.69,
        },
    )


def test_the_page_says_the_verdict_first(done, client_of, people, project):
    page = client_of(people.vic).get(url("comparison", project, done.pk))
    assert page.status_code == 200
    text = page.content.decode()
    assert "Fine-tuned wins" in text
    assert done.sentence.split(":")[0] in text
    assert text.index("Fine-tuned wins") < text.index("Contenders") < text.index("Item by item")
