"""The configuration: three sources, one record, and errors that say which key and where."""

from __future__ import annotations

import contextlib
import json
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamer.config import Config, ConfigError, Limits, Mqtt, OpenEdx, check_exposure
from streamer.config_sources import TYPES, find_config, load
from streamer.server.auth import Token
from streamer.store.consent import TEXT_VERSION

DIGEST = "0f" * 32
TOKEN = Token(name="desk", roles=("stream", "monitor"), sha256=DIGEST)
ENV = {"HOME": "/home/ann"}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "voxwatch.toml"


def test_nothing_set_is_safe_and_whole() -> None:
    config = load(None, ENV, {})
    assert config == Config(data_dir=Path("/home/ann/.local/share/voxwatch"))
    assert (config.host, config.port) == ("127.0.0.1", 8765)
    check_exposure(config)


@pytest.mark.parametrize("value", ["true", "false"])
def test_a_setting_of_an_earlier_version_warns_that_it_does_nothing(
    file: Path, value: str, caplog: pytest.LogCaptureFixture
) -> None:
    file.write_text(f"glance = {value}\nport = 9000\n")
    assert load(file, ENV, {}) == load(None, ENV, {"port": 9000})
    assert load(None, {**ENV, "VOXWATCH_GLANCE": value}, {}) == load(None, ENV, {})
    assert [record.getMessage() for record in caplog.records] == [
        f"glance (in {file}) does nothing any more: remove it",
        "glance (in environment variable VOXWATCH_GLANCE) does nothing any more: remove it",
    ]


def test_data_goes_where_the_user_keeps_data() -> None:
    assert load(None, {"XDG_DATA_HOME": "/data"}, {}).data_dir == Path("/data/voxwatch")


def test_every_key_of_a_file(file: Path) -> None:
    file.write_text(f"""
data_dir = "data"
host = "0.0.0.0"
port = 9000
bundle = "/bundles/mine"
provider = "cuda"
threads = 2
window_s = 4
hop_s = 0.25
false_accept = 0.001
miss = 0.1
prior = 0.2
tls_cert = "tls/cert.pem"
tls_key = "tls/key.pem"
allow_plaintext = false
origins = ["https://voice.example.org"]
ttl_days = 30
consent_text = "Agreed?"
consent_version = "7"
[limits]
streams = 50
idle_s = 5
[mqtt]
host = "broker"
password_env = "BROKER_PASSWORD"
tls = true
topic = "hall/voices"
qos = 2
[[tokens]]
name = "desk"
roles = ["stream", "monitor"]
sha256 = "{DIGEST}"
""")
    assert load(file, ENV, {}) == Config(
        data_dir=file.parent / "data",
        host="0.0.0.0",
        port=9000,
        bundle=Path("/bundles/mine"),
        provider="cuda",
        threads=2,
        window_s=4.0,
        hop_s=0.25,
        false_accept=0.001,
        miss=0.1,
        prior=0.2,
        tls_cert=file.parent / "tls/cert.pem",
        tls_key=file.parent / "tls/key.pem",
        origins=("https://voice.example.org",),
        ttl_days=30.0,
        consent_text="Agreed?",
        consent_version="7",
        limits=Limits(streams=50, idle_s=5.0),
        mqtt=Mqtt(
            host="broker", password_env="BROKER_PASSWORD", tls=True, topic="hall/voices", qos=2
        ),
        tokens=(TOKEN,),
    )


def test_the_environment_sets_every_kind_of_key() -> None:
    env = {
        **ENV,
        "VOXWATCH_PORT": "9001",
        "VOXWATCH_FALSE_ACCEPT": "0.002",
        "VOXWATCH_ALLOW_PLAINTEXT": "true",
        "VOXWATCH_DATA_DIR": "~/voices",
        "VOXWATCH_ORIGINS": "https://a.example, https://b.example",
        "VOXWATCH_TOKENS": json.dumps([msgspec.to_builtins(TOKEN)]),
        "VOXWATCH_LIMITS_AUDIO_S_PER_CLIENT_HOUR": "60",
        "VOXWATCH_MQTT_HOST": "broker",
    }
    config = load(None, env, {})
    assert (config.port, config.false_accept, config.allow_plaintext) == (9001, 0.002, True)
    assert config.data_dir == Path("~/voices").expanduser()
    assert config.origins == ("https://a.example", "https://b.example")
    assert config.tokens == (TOKEN,)
    assert config.limits == Limits(audio_s_per_client_hour=60.0)
    assert config.mqtt == Mqtt(host="broker")


def test_the_later_source_wins(file: Path) -> None:
    file.write_text("port = 1\nhop_s = 1\nmiss = 0.1\n[limits]\nclaims = 1\nstreams = 1\n")
    env = {**ENV, "VOXWATCH_HOP_S": "2", "VOXWATCH_MISS": "0.2", "VOXWATCH_LIMITS_STREAMS": "2"}
    config = load(file, env, {"miss": 0.3, "port": None, "limits.claims": 3})
    assert (config.port, config.hop_s, config.miss) == (1, 2.0, 0.3)
    assert config.limits == Limits(claims=3, streams=2)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("prot = 1", "prot (in FILE): there is no such key: did you mean port?"),
        ("[limits]\nstream = 1", "limits.stream (in FILE): there is no such key"),
        ("[tls]\ncert = 1", "tls (in FILE): there is no such key"),
        ("limits = 3", "limits (in FILE): is a table"),
        ("port = 65536", "port (in FILE): Expected `int` <= 65535"),
        ('port = "80"', "port (in FILE): Expected `int`, got `str`"),
        ("port = true", "port (in FILE): Expected `int`, got `bool`"),
        ("miss = nan", "miss (in FILE): Expected `float` > 0"),
        ("[limits]\nidle_s = inf", "limits.idle_s (in FILE): Expected `float` <= "),
        ('data_dir = ""', "data_dir (in FILE): Expected a path"),
        ("data_dir = 3", "data_dir (in FILE): Expected a path"),
        ('provider = "gpu"', "provider (in FILE): Invalid enum value 'gpu'"),
        ('tls_cert = "c.pem"', "tls_cert (in FILE): needs tls_key beside it"),
        ('tls_key = "c.pem"', "tls_key (in FILE): needs tls_cert beside it"),
        ("window_s = 2\nhop_s = 3", "hop_s (in FILE): 3 is longer than window_s 2"),
        ('database = "mysql://me:secret@db/x"', "database (in FILE): is not like postgresql://"),
        ('origins = ["example.org"]', "origins (in FILE): 'example.org' is not like https"),
        ('origins = ["https://a.example/b"]', "origins (in FILE): 'https://a.example/b' is not"),
        ('consent_text = "Yes?"', "consent_text (in FILE): consent_text and consent_version"),
        ("[mqtt]\nqos = 1", "mqtt.qos (in FILE): needs mqtt.host beside it"),
        ('[mqtt]\nhost = "b"\ntopic = "a/#"', "mqtt.topic (in FILE): Expected `str` matching"),
        ("tokens = [{}]", "tokens (in FILE): Object missing required field `name`"),
        ("port = ", "the configuration FILE is not TOML"),
    ],
)
def test_an_error_names_the_key_and_the_file(file: Path, text: str, message: str) -> None:
    file.write_text(text)
    with pytest.raises(ConfigError, match=re.escape(message.replace("FILE", str(file)))):
        load(file, ENV, {})


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("VOXWATCH_PORT", "tcp://10.0.0.1:8765", "port (in environment variable VOXWATCH_PORT)"),
        ("VOXWATCH_PRT", "1", "VOXWATCH_PRT sets nothing: did you mean VOXWATCH_PORT?"),
        ("VOXWATCH_LIMITS", "{}", "VOXWATCH_LIMITS sets nothing"),
        ("VOXWATCH_TOKENS", "secret", "tokens (in environment variable VOXWATCH_TOKENS)"),
        ("VOXWATCH_ORIGINS", "*", "origins (in environment variable VOXWATCH_ORIGINS): '*'"),
        ("VOXWATCH_MQTT_TOPIC", "a", "mqtt.topic (in environment variable VOXWATCH_MQTT_TOPIC)"),
    ],
)
def test_an_error_names_the_variable(name: str, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)) as failure:
        load(None, {**ENV, name: text}, {})
    assert "secret" not in str(failure.value)


def test_an_error_names_the_command_line() -> None:
    with pytest.raises(ConfigError, match=re.escape("port (in the command line): Expected")):
        load(None, ENV, {"port": -1})


def test_variables_of_other_things_are_left_alone() -> None:
    env = {**ENV, "VOXWATCH_KEY": "x", "VOXWATCH_TOKEN": "y", "VOXWATCH_URL": "ws://z"}
    env |= {"VOXWATCH_MQTT_HOST": "b", "VOXWATCH_MQTT_PASSWORD_ENV": "VOXWATCH_BROKER_SECRET"}
    assert load(None, {**env, "VOXWATCH_BROKER_SECRET": "hush"}, {}).mqtt is not None


def test_a_file_that_is_not_there_is_told(file: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot read .*No such file"):
        load(file, ENV, {})


def test_the_configuration_is_found_where_the_user_keeps_it(tmp_path: Path) -> None:
    env = {"XDG_CONFIG_HOME": str(tmp_path)}
    assert find_config(env) is None
    path = tmp_path / "voxwatch" / "config.toml"
    path.parent.mkdir()
    path.write_text("")
    assert find_config(env) == path
    assert find_config({**env, "VOXWATCH_CONFIG": "/etc/v.toml"}) == Path("/etc/v.toml")


@given(st.dictionaries(st.sampled_from(sorted(TYPES)), st.text() | st.floats() | st.booleans()))
def test_any_values_give_a_configuration_or_one_line(overrides: dict[str, Any]) -> None:
    with contextlib.suppress(ConfigError):
        assert load(None, ENV, overrides).data_dir


@given(st.sampled_from(sorted(TYPES)), st.text())
def test_any_text_in_the_environment_gives_a_configuration_or_one_line(key: str, text: str) -> None:
    name = "VOXWATCH_" + key.replace(".", "_").upper()
    with contextlib.suppress(ConfigError):
        assert load(None, {**ENV, name: text}, {}).data_dir


def test_a_home_that_nobody_has_is_a_folder_like_any_other() -> None:
    assert load(None, ENV, {"data_dir": "~nobody-at-all/x"}).data_dir == Path("~nobody-at-all/x")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "voice.example.org"])
def test_other_machines_need_tokens_and_tls(host: str) -> None:
    bare = Config(data_dir=Path(), host=host)
    with pytest.raises(ConfigError, match=r"\[\[tokens\]\].* and tls_cert and tls_key"):
        check_exposure(bare)
    with_tokens = msgspec.structs.replace(bare, tokens=(TOKEN,))
    with pytest.raises(ConfigError, match="set tls_cert and tls_key") as failure:
        check_exposure(with_tokens)
    assert "[[tokens]]" not in str(failure.value)
    check_exposure(msgspec.structs.replace(with_tokens, allow_plaintext=True))
    tls = {"tls_cert": Path("c"), "tls_key": Path("k")}
    check_exposure(msgspec.structs.replace(with_tokens, **tls))
    with pytest.raises(ConfigError, match=r"set at least one \[\[tokens\]\]"):
        check_exposure(msgspec.structs.replace(bare, **tls))


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1"])
def test_loopback_needs_nothing(host: str) -> None:
    check_exposure(Config(data_dir=Path(), host=host))


@pytest.mark.parametrize(
    ("asked", "most", "days"), [(None, None, None), (7, None, 7), (None, 30, 30), (99, 30, 30)]
)
def test_voiceprints_are_kept_as_asked_up_to_the_limit(
    asked: float | None, most: float | None, days: float | None
) -> None:
    expected = None if days is None else days * 86400
    assert Config(data_dir=Path(), ttl_days=most).ttl_s(asked) == expected


def test_the_consent_text_says_how_long() -> None:
    default = Config(data_dir=Path()).consent
    assert default.version == TEXT_VERSION == "2026-11"
    assert "until it is deleted" in default.text
    assert "at most 30 days" in Config(data_dir=Path(), ttl_days=30.0).consent.text
    assert "at most 1 day." in Config(data_dir=Path(), ttl_days=1.0).consent.text


def test_an_own_consent_text_has_its_own_version() -> None:
    own = Config(data_dir=Path(), consent_text="Agreed?", consent_version="7").consent
    assert own == ("7", "Agreed?")


def test_no_secret_shows() -> None:
    shown = repr(Config(data_dir=Path(), tokens=(TOKEN,)))
    assert "desk" in shown
    assert DIGEST not in shown


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"lms_url": "http://lms.example"}, "wants https"),
        ({"lms_url": "lms.example"}, "wants https"),
        ({"lms_client_id": None}, "needs lms_client_id and lms_secret_env"),
        ({"lms_url": None}, "needs lms_client_id and lms_secret_env"),
    ],
)
def test_open_edx_is_told_by_tls_and_as_somebody(change: dict[str, Any], words: str) -> None:
    whole = {
        "client_id": "a",
        "secret_env": "A",
        "lms_url": "https://lms.example",
        "lms_client_id": "b",
        "lms_secret_env": "B",
    }
    OpenEdx(**whole)
    OpenEdx(**whole | {"lms_url": "http://127.0.0.1:8000"})
    with pytest.raises(ValueError, match=words):
        OpenEdx(**whole | change)


def test_open_edx_needs_an_address_for_links_and_a_record(tmp_path: Path) -> None:
    edx = OpenEdx(client_id="a", secret_env="A")
    Config(data_dir=tmp_path, openedx=edx, public_url="https://voice.example")
    for more in ({}, {"public_url": "https://voice.example", "records": False}):
        with pytest.raises(ValueError, match="public_url, and records"):
            Config(data_dir=tmp_path, openedx=edx, **more)
    with pytest.raises(ValueError, match="public_url"):
        Config(data_dir=tmp_path, public_url="voice.example")


def test_what_a_table_needs_is_told_and_secrets_of_others_are_let_be(tmp_path: Path) -> None:
    env = {"HOME": str(tmp_path), "VOXWATCH_PUBLIC_URL": "https://voice.example"}
    env |= {"VOXWATCH_OPENEDX_CLIENT_ID": "campus"}
    with pytest.raises(ConfigError, match=r"needs openedx\.secret_env beside it"):
        load(None, env, {})
    env |= {"VOXWATCH_OPENEDX_SECRET_ENV": "VOXWATCH_OF_CAMPUS", "VOXWATCH_OF_CAMPUS": "x"}
    found = load(None, env, {}).openedx
    assert found is not None
    assert (found.client_id, found.secret_env) == ("campus", "VOXWATCH_OF_CAMPUS")
