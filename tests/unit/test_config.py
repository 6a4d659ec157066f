"""Config: what each field is without its variable, what a variable makes of it, what is refused; and addresses."""

from __future__ import annotations

import pytest

from fastlambda import Config
from fastlambda._core import Channel
from fastlambda.errors import UsageError

TEXT = {
    "runtime_api": "AWS_LAMBDA_RUNTIME_API",
    "handler": "_HANDLER",
    "region": "AWS_REGION",
    "function_name": "AWS_LAMBDA_FUNCTION_NAME",
    "function_version": "AWS_LAMBDA_FUNCTION_VERSION",
    "memory_limit_in_mb": "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
    "log_group_name": "AWS_LAMBDA_LOG_GROUP_NAME",
    "log_stream_name": "AWS_LAMBDA_LOG_STREAM_NAME",
    "initialization_type": "AWS_LAMBDA_INITIALIZATION_TYPE",
    "task_root": "LAMBDA_TASK_ROOT",
    "http": "FASTLAMBDA_HTTP",
    "json": "FASTLAMBDA_JSON",
    "json_layout": "FASTLAMBDA_JSON_LAYOUT",
    "after_timeout": "FASTLAMBDA_AFTER_TIMEOUT",
    "log_format": "AWS_LAMBDA_LOG_FORMAT",
    "log_level": "AWS_LAMBDA_LOG_LEVEL",
    "telemetry_fd": "_LAMBDA_TELEMETRY_LOG_FD",
}
NUMBERS = {
    "timeout_margin_ms": ("FASTLAMBDA_TIMEOUT_MARGIN_MS", 100),
    "timeout_last_ms": ("FASTLAMBDA_TIMEOUT_LAST_MS", 30),
    "memory_margin_mb": ("FASTLAMBDA_MEMORY_MARGIN_MB", -1),
    "init_limit_ms": ("FASTLAMBDA_INIT_LIMIT_MS", 10_000),
}
SWITCHES = {
    "pipeline": ("FASTLAMBDA_PIPELINE", False),
    "guard": ("FASTLAMBDA_GUARD", True),
    "register_extension": ("FASTLAMBDA_REGISTER_EXTENSION", False),
    "lazy_imports": ("FASTLAMBDA_LAZY_IMPORTS", False),
}


def test_every_field_has_its_value_without_an_environment() -> None:
    expected = dict.fromkeys(TEXT) | {name: value for name, (_, value) in {**NUMBERS, **SWITCHES}.items()}
    assert vars(Config.from_env({})) == expected


@pytest.mark.parametrize("name", TEXT)
def test_text_is_taken_as_it_is(name: str) -> None:
    assert getattr(Config.from_env({TEXT[name]: "Grün 1"}), name) == "Grün 1"


@pytest.mark.parametrize("name", NUMBERS)
def test_a_number_is_read_and_an_empty_variable_is_none(name: str) -> None:
    variable, default = NUMBERS[name]
    assert getattr(Config.from_env({variable: "250"}), name) == 250
    assert getattr(Config.from_env({variable: "0"}), name) == 0
    assert getattr(Config.from_env({variable: ""}), name) == default


@pytest.mark.parametrize("text", ["-1", "1.5", "x", "9999999999", "١"])
@pytest.mark.parametrize("name", NUMBERS)
def test_what_is_no_whole_number_is_named(name: str, text: str) -> None:
    variable, _ = NUMBERS[name]
    with pytest.raises(UsageError, match=f"{variable} must be a whole number, not '{text}'"):
        Config.from_env({variable: text})


@pytest.mark.parametrize("text", ["0", "1", "", "true"])
@pytest.mark.parametrize("name", SWITCHES)
def test_a_switch_leaves_its_place_for_one_text_only(name: str, text: str) -> None:
    variable, default = SWITCHES[name]
    assert getattr(Config.from_env({variable: text}), name) is (text != "0" if default else text == "1")


@pytest.mark.parametrize(
    ("how", "limit"),
    [(None, 10_000), ("on-demand", 10_000), ("provisioned-concurrency", 130_000), ("snap-start", 130_000)],
)
def test_the_limit_of_init_follows_how_the_time_is_bought(how: str | None, limit: int) -> None:
    environ = {} if how is None else {"AWS_LAMBDA_INITIALIZATION_TYPE": how}
    assert Config.from_env(environ).init_limit_ms == limit


def test_the_region_may_come_from_the_default_one() -> None:
    assert Config.from_env({"AWS_DEFAULT_REGION": "eu-west-1"}).region == "eu-west-1"
    assert Config.from_env({"AWS_DEFAULT_REGION": "eu-west-1", "AWS_REGION": "eu-west-3"}).region == "eu-west-3"


def test_fields_can_be_given() -> None:
    config = Config(function_name="f", pipeline=True, timeout_last_ms=5, region=None)
    assert (config.function_name, config.pipeline, config.timeout_last_ms, config.region) == ("f", True, 5, None)
    assert Config().init_limit_ms == 0  # outside of Lambda nothing ends an init


@pytest.mark.parametrize("given", [{"function_name": 1}, {"pipeline": "1"}, {"timeout_last_ms": "5"}, {"guard": None}])
def test_a_value_of_another_type_is_refused(given: dict[str, object]) -> None:
    with pytest.raises(TypeError, match=next(iter(given))):
        Config(**given)  # type: ignore[arg-type]


def test_an_unknown_field_is_refused() -> None:
    with pytest.raises(TypeError, match="timeout_ms"):
        Config(timeout_ms=5)  # type: ignore[call-arg]


@pytest.mark.parametrize(
    "address",
    [
        "",
        "host",
        "host:",
        ":80",
        "host:0",
        "host:65536",
        "host:080000",
        "host:8x",
        "h ost:80",
        "höst:80",
        "http://host:80",
        "host:80//x",
        "host:80/a b",
        "host:80\n",
        "host:80/\x7f",
        "/a:80",
    ],
)
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(UsageError, match="AWS_LAMBDA_RUNTIME_API must be host:port"):
        Channel(address)


@pytest.mark.parametrize(
    "address", ["127.0.0.1:9001", "[::1]:80", "localhost:65535", "h:1/", "h:1/.rt/function", "h:1/a:b/"]
)
def test_an_address_is_taken(address: str) -> None:
    assert Channel(address).runtime_api == address
