import pytest
from django.urls import reverse

from apps.accounts.services import api_key_create
from apps.operations.models import Operation
from apps.operations.services import operation_run
from apps.providers import plugs
from apps.providers.models import Connection, Price
from apps.registry.models import BaseModel
from tests.providers.sketch import GOOD_KEY

pytestmark = pytest.mark.django_db


def url(name, workspace, *args):
    return reverse(name, args=[workspace.slug, *args])


def text_of(response):
    return response.content.decode()


# --- Pages ----------------------------------------------------------------------------------------------------------


def test_without_connections_the_page_says_what_they_are_for(client_of, people, workspace):
    address = url("providers:connections", workspace)
    assert "New connection" in text_of(client_of(people.ann).get(address))
    lead = text_of(client_of(people.lea).get(address))
    assert "An owner of the workspace adds it" in lead
    assert "New connection" not in lead


def test_an_owner_connects_and_it_is_checked(sketch, client_of, people, workspace):
    owner = client_of(people.ann)
    address = url("providers:create", workspace)
    assert "Sketch &amp; Co" in text_of(owner.get(address))
    form = owner.get(f"{address}?provider=sketch")
    assert "From the &lt;console&gt;." in text_of(form)
    assert form.headers["Cache-Control"] == "no-store"
    given = {
        "name": "Our sketches",
        "setting-base_url": "https://sketch.example/v1",
        "setting-api_key": GOOD_KEY,
        "setting-region": "",
    }
    response = owner.post(f"{address}?provider=sketch", given)
    made = Connection.objects.get()
    assert response.headers["Location"] == made.get_absolute_url()
    assert "Checking" in text_of(owner.get(made.get_absolute_url()))
    operation_run(operation_id=Operation.objects.get().pk)
    page = text_of(owner.get(made.get_absolute_url()))
    for shown in (
        "Works",
        "All is well.",
        "3 jobs at once",
        "draw-large",
        "ends 1 Mar 2027",
        "8\u202f192 tokens",
    ):
        assert shown in page
    assert GOOD_KEY not in page
    listed = text_of(owner.get(url("providers:connections", workspace)))
    assert "2 models" in listed
    assert "Works" in listed


def test_what_is_refused_stands_under_its_field_and_no_key_comes_back(sketch, client_of, people, workspace):
    response = client_of(people.ann).post(
        f"{url('providers:create', workspace)}?provider=sketch",
        {"name": "X", "setting-base_url": "ftp://sketch.example", "setting-api_key": GOOD_KEY},
    )
    assert response.status_code == 422
    page = text_of(response)
    assert "Only addresses that begin with https://" in page
    assert 'id="id_setting-base_url_error"' in page
    assert GOOD_KEY not in page
    assert not Connection.objects.exists()


def test_a_provider_that_is_not_there_is_not_an_error(client_of, people, workspace):
    page = text_of(client_of(people.ann).get(url("providers:create", workspace), {"provider": "nowhere"}))
    assert "There is no such provider" in page


def test_changing_keeps_the_key(sketch_connection, client_of, people, workspace):
    owner = client_of(people.ann)
    address = url("providers:change", workspace, sketch_connection.pk)
    page = text_of(owner.get(address))
    assert "Leave it empty to keep it" in page
    assert GOOD_KEY not in page
    response = owner.post(
        address,
        {"name": "Renamed", "setting-base_url": "https://sketch.example/v1", "setting-api_key": ""},
    )
    assert response.status_code == 302
    stored = Connection.objects.get()
    assert (stored.name, stored.secrets()) == ("Renamed", {"api_key": GOOD_KEY})


def test_a_failed_check_is_said_with_its_reason(sketch_connection, client_of, people, workspace):
    Connection.objects.update(authenticated=False, check_message="The key is not <b>known</b>.")
    for address in (url("providers:connections", workspace), sketch_connection.get_absolute_url()):
        page = text_of(client_of(people.lea).get(address))
        assert "Key refused" in page
        assert "The key is not &lt;b&gt;known&lt;/b&gt;." in page


def test_a_lead_checks_again_and_goes_back_to_where_it_was_asked(
    sketch_connection, client_of, people, workspace
):
    lead = client_of(people.lea)
    address = url("providers:check", workspace, sketch_connection.pk)
    listed = lead.post(address, {"back": "list"})
    assert listed.headers["Location"] == url("providers:connections", workspace)
    assert lead.post(address).headers["Location"] == sketch_connection.get_absolute_url()
    assert Operation.objects.count() == 1, "the second press finds the look that is under way"


def test_models_are_searched_and_filtered(sketch_connection, client_of, people):
    lead = client_of(people.lea)
    page = text_of(lead.get(sketch_connection.get_absolute_url(), {"q": "LARGE"}))
    assert "<code>draw-large</code>" in page
    assert "<code>draw-small</code>" not in page
    page = text_of(lead.get(sketch_connection.get_absolute_url(), {"show": "trainable"}))
    assert "<code>draw-small</code>" in page
    assert "<code>ft:draw-small:ours</code>" not in page
    page = text_of(lead.get(sketch_connection.get_absolute_url(), {"q": "nothing"}))
    assert "No model fits" in page


def test_a_lead_takes_a_model_into_the_workspace(sketch_connection, client_of, people, workspace):
    lead = client_of(people.lea)
    address = url("base_models:add", workspace, sketch_connection.pk)
    assert lead.post(address, {"reference": "draw-large"}).status_code == 302
    assert lead.post(address, {"reference": "draw-large"}).status_code == 302
    added = BaseModel.objects.get()
    assert (added.name, added.provider, added.connection, added.context_length) == (
        "Draw Large",
        "sketch",
        sketch_connection,
        8192,
    )
    assert " added" in text_of(lead.get(sketch_connection.get_absolute_url()))
    refused = lead.post(address, {"reference": "of-nobody"})
    assert refused.status_code == 400
    assert "offers no model" in text_of(refused)
    assert lead.post(address, {"reference": ""}).status_code == 302
    assert BaseModel.objects.count() == 1


def test_a_removed_connection_is_gone_from_the_pages(sketch_connection, client_of, people, workspace):
    owner = client_of(people.ann)
    removed = owner.post(url("providers:remove", workspace, sketch_connection.pk))
    assert removed.headers["Location"] == url("providers:connections", workspace)
    assert owner.get(sketch_connection.get_absolute_url()).status_code == 404


def test_one_that_is_in_use_stays_and_its_page_says_by_what(
    sketch_connection, client_of, people, workspace, monkeypatch
):
    # In the place of the jobs that an app above plugs in: one that runs.
    monkeypatch.setattr(plugs, "_uses", [lambda connection: ["the job “Drawing”"]])
    refused = client_of(people.ann).post(
        url("providers:remove", workspace, sketch_connection.pk), follow=True
    )
    assert refused.redirect_chain[0][0] == sketch_connection.get_absolute_url()
    assert "is in use by the job “Drawing”" in text_of(refused)
    assert Connection.objects.get().removed_at is None


def test_the_list_asks_as_often_for_many_as_for_one(
    sketch_connection, client_of, people, workspace, django_assert_num_queries
):
    lead = client_of(people.lea)
    address = url("providers:connections", workspace)
    lead.get(address)
    with django_assert_num_queries(7):
        lead.get(address)
    for number in range(20):
        Connection.objects.create(workspace=workspace, provider="gone", name=f"Other {number}")
    with django_assert_num_queries(7):
        lead.get(address)


# --- Prices ---------------------------------------------------------------------------------------------------------


def test_a_price_is_said_and_taken_back(sketch, client_of, people, workspace):
    lead = client_of(people.lea)
    address = url("providers:prices", workspace)
    page = text_of(lead.get(address, {"provider": "sketch", "model": "draw-large", "what": "training:dpo"}))
    assert 'value="draw-large"' in page
    assert '<option value="training:dpo" selected>' in page
    assert "gpt-4.1-mini-2025-04-14" in page
    given = {
        "provider": "sketch",
        "model": "draw-large",
        "what": "training:dpo",
        "amount": "0.0375",
        "currency": "eur",
        "as_of": "2026-11-01",
        "source": "The contract",
    }
    assert lead.post(address, given).status_code == 302
    price = Price.objects.get()
    assert (str(price.amount), price.currency, price.kind, price.objective) == (
        "0.0375",
        "EUR",
        "training",
        "dpo",
    )
    assert "0.0375\u00a0EUR" in text_of(lead.get(address))
    assert lead.post(url("providers:remove_price", workspace, price.pk)).status_code == 302
    assert not Price.objects.exists()


@pytest.mark.parametrize(
    "odd", [{"amount": "-1"}, {"amount": "NaN"}, {"currency": "Euro"}, {"as_of": "soon"}, {"what": "free"}]
)
def test_an_odd_price_is_refused(sketch, client_of, people, workspace, odd):
    given = {
        "provider": "sketch",
        "model": "m",
        "what": "training:supervised",
        "amount": "1",
        "currency": "USD",
        "as_of": "2026-11-01",
    }
    response = client_of(people.lea).post(url("providers:prices", workspace), given | odd)
    assert response.status_code == 422
    assert not Price.objects.exists()


# --- API ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def api(client, people, workspace):
    _, key = api_key_create(workspace=workspace, user=people.lea, name="test")
    client.defaults["HTTP_AUTHORIZATION"] = f"Bearer {key}"
    return client


def test_programs_read_connections_and_have_them_checked(sketch_connection, api, workspace):
    (listed,) = api.get(url("api:connections", workspace)).json()
    assert (listed["name"], listed["state"], listed["checking"]) == ("Our sketches", "Works", False)
    told = api.get(url("api:connection", workspace, sketch_connection.pk))
    assert GOOD_KEY not in text_of(told)
    detail = told.json()
    assert detail["settings"] == {"base_url": "https://sketch.example/v1"}
    assert [(model["id"], model["trainable"], model["served"]) for model in detail["models"]] == [
        ("draw-large", True, True),
        ("draw-small", True, False),
        ("ft:draw-small:ours", False, True),
    ]
    assert detail["models"][1]["end_of_life"] == "2027-03-01"
    checking = api.post(url("api:check_connection", workspace, sketch_connection.pk))
    assert (checking.status_code, checking.json()["checking"]) == (202, True)
