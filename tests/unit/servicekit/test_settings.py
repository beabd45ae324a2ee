"""Settings come from the environment, once, and say what is wrong."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from servicekit.settings import SettingsError, describe, from_environment, setting


@dataclass(frozen=True)
class Settings:
    url: str = setting("SIE_URL")
    port: int = setting("SIE_PORT", 80)
    wait: float = setting("SIE_WAIT", 0.5)
    json: bool = setting("SIE_JSON", False)
    models: tuple[str, ...] = setting("SIE_MODELS", ())
    home: Path = setting("SIE_HOME", Path("/x"))
    token: str = setting("SIE_TOKEN", "", secret=True)


def test_every_type_is_read():
    settings = from_environment(
        Settings,
        {
            "SIE_URL": "u",
            "SIE_PORT": "1",
            "SIE_WAIT": "2.5",
            "SIE_JSON": "true",
            "SIE_MODELS": "a, b,",
            "SIE_HOME": "/h",
        },
    )
    assert settings == Settings("u", 1, 2.5, True, ("a", "b"), Path("/h"))


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({}, "SIE_URL must be set"),
        ({"SIE_URL": "u", "SIE_PORT": "x"}, "SIE_PORT='x'"),
        ({"SIE_URL": "u", "SIE_JSON": "maybe"}, "SIE_JSON='maybe': expected true or false"),
    ],
)
def test_a_variable_that_does_not_parse_is_named(environment, message):
    with pytest.raises(SettingsError, match=message):
        from_environment(Settings, environment)


def test_secrets_do_not_reach_the_log():
    assert describe(Settings("u", token="s"))["SIE_TOKEN"] == "***"


def test_credentials_in_addresses_do_not_reach_the_log():
    shown = describe(Settings("nats://gateway:secret@a:4222,nats://gateway:secret@b:4222"))
    assert shown["SIE_URL"] == "nats://***@a:4222,nats://***@b:4222"
