import pytest

from servicekit.errors import SieError, code_of
from servicekit.registry_reads import RegistryReads, split_model
from servicekit.registry_state import RegistryState
from sie.registry.v1.registry_service_pb2 import ListModelsRequest


@pytest.mark.parametrize("token", ["ä", "====", "a", "_w==", "YQ== ", "\x00"])
def test_a_page_token_that_is_none_is_refused_by_its_name(token):
    with pytest.raises(SieError) as caught:
        RegistryReads(RegistryState).list_models(ListModelsRequest(page_token=token))
    assert code_of(caught.value.reason) == "INVALID_INPUT"
    assert caught.value.metadata["field"] == "page_token"


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("org/model", ("", "org/model")),
        ("big:/org/model", ("big", "org/model")),
        ("Big:/m", ("big", "m")),
        (":/m", ("", "m")),
        ("m:v1", ("", "m:v1")),
    ],
)
def test_a_bundle_may_stand_before_the_model(spec, expected):
    assert split_model(spec) == expected
