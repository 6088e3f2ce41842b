import json
import struct

import pytest

from apps.artifacts.storage import blob_store
from apps.audit.models import AuditEvent
from apps.registry.model_directory import ModelReferenceError
from apps.registry.models import BaseModel, Variant
from apps.registry.services import base_model_ensure, model_version_create, variant_ensure


def safetensors(tensors: dict[str, tuple[str, list[int]]]) -> bytes:
    """A file in the safetensors format: 8-byte little-endian header length, header, data."""
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    offset = 0
    for name, (dtype, shape) in tensors.items():
        size = {"F16": 2, "F32": 4, "BF16": 2, "I64": 8, "I32": 4}[dtype]
        for length in shape:
            size *= length
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + bytes(offset)


@pytest.fixture
def model_directory(tmp_path):
    directory = tmp_path / "acme-tiny"
    directory.mkdir()
    (directory / "config.json").write_text(json.dumps({"max_position_embeddings": 512}))
    (directory / "README.md").write_text("---\nlicense: apache-2.0\ntags:\n- tiny\n---\n# Tiny\n")
    (directory / "model.safetensors").write_bytes(
        safetensors({"a": ("F16", [10, 4]), "b": ("BF16", [3]), "position_ids": ("I64", [2])})
    )
    return directory


def test_a_model_directory_is_read_without_loading_it(workspace, people, model_directory):
    base = base_model_ensure(workspace=workspace, reference=str(model_directory), actor=people.lea)
    assert (base.name, base.parameters, base.context_length, base.licence) == (
        "acme-tiny",
        43,  # 10 x 4 + 3: integer buffers are no parameters
        512,
        "apache-2.0",
    )
    again = base_model_ensure(workspace=workspace, reference=str(model_directory), actor=people.ann)
    assert again.pk == base.pk
    event = AuditEvent.objects.get(action="base_model.added")
    assert (event.actor_id, event.target_id) == (people.lea.pk, str(base.pk))


def test_the_parameters_of_packed_weights_are_unknown(workspace, model_directory):
    (model_directory / "model.safetensors").write_bytes(
        safetensors({"packed": ("I32", [100]), "scale": ("F16", [4])})
    )
    base = base_model_ensure(workspace=workspace, reference=str(model_directory), actor=None)
    assert base.parameters is None


def test_a_hub_id_is_taken_with_its_unknowns(workspace):
    base = base_model_ensure(workspace=workspace, reference="acme/tiny-chat", actor=None, revision="abc123")
    assert (base.name, base.parameters, base.context_length, base.licence) == ("tiny-chat", None, None, "")
    other = base_model_ensure(workspace=workspace, reference="acme/tiny-chat", actor=None)
    assert other.pk != base.pk


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda d: (d / "model.safetensors").rename(d / "pytorch_model.bin"), "no safetensors weights"),
        (lambda d: (d / "config.json").unlink(), "no config.json"),
        (lambda d: (d / "config.json").write_text("{"), "not valid JSON"),
        (lambda d: (d / "model.safetensors").write_bytes(b"xx"), "not a readable safetensors file"),
        (lambda d: (d / "model.safetensors").write_bytes(b"\xff" * 64), "not a readable safetensors file"),
    ],
)
def test_a_directory_that_is_no_model_is_refused_with_a_sentence(workspace, model_directory, change, said):
    change(model_directory)
    with pytest.raises(ModelReferenceError) as error:
        base_model_ensure(workspace=workspace, reference=str(model_directory), actor=None)
    assert said in error.value.message
    assert not BaseModel.objects.exists()


@pytest.mark.parametrize("reference", ["", "two words", "a/b/c", "/nowhere/at/all", "../nowhere", "<b>"])
def test_what_names_no_model_is_refused(workspace, reference):
    with pytest.raises(ModelReferenceError):
        base_model_ensure(workspace=workspace, reference=reference, actor=None)


@pytest.fixture
def base_model(workspace):
    return base_model_ensure(workspace=workspace, reference="acme/tiny", actor=None)


def version_of(project, base_model, content: bytes):
    return model_version_create(
        project=project,
        base_model=base_model,
        kind="adapter",
        artifact=blob_store(content=[content]),
        name="Triage",
        validation_loss=0.4,
        best_step=30,
        actor=None,
    )


def test_model_versions_are_numbered_within_their_project(project, base_model):
    assert [
        version_of(project, base_model, b"one").number,
        version_of(project, base_model, b"two").number,
    ] == [
        1,
        2,
    ]


def test_a_variant_is_known_by_what_decides_its_answers(project, base_model, people):
    tuned = version_of(project, base_model, b"one")
    shots = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "greeting"}]

    def variant(**changes):
        return variant_ensure(
            **{"project": project, "name": "x", "base_model": base_model, "actor": people.lea, **changes}
        )

    different = [
        variant(),
        variant(model_version=tuned),
        variant(model_version=version_of(project, base_model, b"two")),
        variant(system_prompt="Be short."),
        variant(few_shot=shots),
        variant(few_shot=list(reversed(shots))),
        variant(sampling={"temperature": 0.7}),
    ]
    assert len({one.hash for one in different}) == len(different)
    same = [
        variant(name="another name"),
        variant(system_prompt="  "),
        variant(sampling={"temperature": 0.0}),
    ]
    assert {one.pk for one in same} == {different[0].pk}
    assert Variant.objects.count() == len(different)
