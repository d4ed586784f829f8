"""WIRE.md says what the code does: every error code, message type and parameter."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import msgspec
import pytest

from streamer.wire import errors, messages, requests

TEXT = (Path(messages.__file__).parents[1] / "WIRE.md").read_text()


def test_every_error_code_stands_beside_its_close_code() -> None:
    section = TEXT.split("## Errors")[1]
    rows = re.findall(r"^\| (\d{4}) \| (.*) \|$", section, re.MULTILINE)
    told = {code: int(close) for close, codes in rows for code in re.findall(r"`([^`]+)`", codes)}
    assert told == errors.CLOSE_CODES


def test_every_refusal_over_plain_http_stands_beside_its_status() -> None:
    section = TEXT.split("## Plain HTTP")[1].split("\n## ")[0]
    rows = re.findall(r"^\| (\d{3}) \| (.*) \|$", section, re.MULTILINE)
    told = {
        code: int(status) for status, codes in rows for code in re.findall(r"`([a-z-]+)`", codes)
    }
    assert told == errors.HTTP_STATUS


def test_every_parameter_of_a_recording_is_described() -> None:
    section = TEXT.split("## `POST /v1/verify`")[1].split("\n## ")[0]
    for field in msgspec.structs.fields(requests.VerifyRecording):
        assert f"`{field.encode_name}`" in section


@pytest.mark.parametrize("message", get_args(messages.StreamEvent), ids=lambda m: m.__name__)
def test_every_event_is_described_with_its_fields(message: type[msgspec.Struct]) -> None:
    tag = message.__struct_config__.tag
    (row,) = re.findall(rf"^\| `{tag}` \| (.*) \|$", TEXT, re.MULTILINE)
    fields = {f.encode_name for f in msgspec.structs.fields(message)} - {"seq", "t", "at_time"}
    assert fields <= set(re.findall(r"`([a-z_]+)`", row)), fields


def test_every_parameter_of_a_stream_is_described() -> None:
    section = TEXT.split("## `/v1/enroll`")[0]
    for field in msgspec.structs.fields(requests.StartStream):
        assert f"`{field.encode_name}`" in section


@pytest.mark.parametrize("message", [messages.Ready], ids=["ready"])
def test_ready_is_described(message: type[msgspec.Struct]) -> None:
    for field in msgspec.structs.fields(message):
        assert f"`{field.encode_name}`" in TEXT, field.name
