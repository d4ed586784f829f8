"""docs/TELEPHONY.md: what it writes into each telephone system makes a call that is judged."""

from __future__ import annotations

import asyncio
import base64
import configparser
import json
import os
import re
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from phone_line import Followed, dialled, heard, of, send, verdicts
from server_requests import bearer
from telephone import CALL, Plivo, Telnyx, Twilio, encoded, jambonz, media_start

from streamer.server.server import Server

ROOT = Path(__file__).parents[4]
PAGE = (ROOT / "docs" / "TELEPHONY.md").read_text()
# Whoever writes it puts a token and a name of their own into it.
WRITTEN = PAGE.replace("TOKEN", "phone-secret").replace("alice", "anna")


def blocks(title: str, language: str) -> list[str]:
    section = WRITTEN.partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    found = re.findall(rf"^```{language}\n(.*?)^```", section, re.MULTILINE | re.DOTALL)
    assert found, f"{title} shows no {language}"
    return found


def xml_stream(title: str) -> ET.Element:
    (document,) = blocks(title, "xml")
    stream = ET.fromstring(document.encode()).find(".//Stream")
    assert stream is not None
    return stream


def basic(name: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()}


async def call(server: Server, url: str, messages: list[Any], **options: Any) -> None:
    """As the telephone system would, at the address that the page gives."""
    address = urlsplit(url)
    path = address.path + (f"?{address.query}" if address.query else "")
    async with dialled(server, path, **options) as phone:
        await send(phone, messages)
        if options:
            await phone.close()
        assert await heard(phone) == ([], 1000, "")


async def test_the_markup_for_twilio_makes_a_call(
    guarded: Server, desk: Followed, enrolled: None, said: Any
) -> None:
    stream = xml_stream("Twilio")
    given = {one.attrib["name"]: one.attrib["value"] for one in stream.iter("Parameter")}
    await call(guarded, stream.attrib["url"], Twilio(**given).whole(encoded(said("anna", 3.0))))
    assert verdicts(await desk.closed()) == ["match"]


async def test_the_request_to_telnyx_makes_a_call(
    guarded: Server, desk: Followed, enrolled: None, said: Any
) -> None:
    (body,) = (json.loads(block) for block in blocks("Telnyx", "json"))
    given = {one["name"]: one["value"] for one in body["custom_parameters"]}
    phone = Telnyx(encoding=body["stream_codec"], **given)
    await call(guarded, body["stream_url"], phone.whole(encoded(said("anna", 3.0))))
    assert verdicts(await desk.closed()) == ["match"]


async def test_the_markup_for_plivo_makes_a_call(
    guarded: Server, desk: Followed, enrolled: None, said: Any
) -> None:
    stream = xml_stream("Plivo")
    given = dict(pair.split("=") for pair in stream.attrib["extraHeaders"].split(","))
    assert stream.attrib["contentType"] == "audio/x-mulaw;rate=8000"
    assert stream.text is not None
    await call(guarded, stream.text, Plivo(**given).whole(encoded(said("anna", 3.0))))
    assert verdicts(await desk.closed()) == ["match"]


async def test_the_settings_and_the_dial_plan_of_asterisk_make_a_call(
    guarded: Server, desk: Followed, enrolled: None, said: Any
) -> None:
    settings, plan = blocks("Asterisk", "ini")
    ini = configparser.ConfigParser()
    ini.read_string(settings)
    client = ini["voxwatch"]
    found = re.search(r"WebSocket/(\w+)/c\((\w+)\)v\(([^)]*)\)", plan)
    assert found is not None
    assert found[1] in ini
    query = found[3].replace(",", "&").replace("${UNIQUEID}", "1763141871.6")
    sound = encoded(said("anna", 3.0), "pcm_s16le", 16_000)
    await call(
        guarded,
        f"{client['uri']}?{query}",
        [
            media_start(found[2]),
            *(sound[place : place + 640] for place in range(0, len(sound), 640)),
        ],
        subprotocols=[client["protocols"]],
        additional_headers=basic(client["username"], client["password"]),
    )
    told = await desk.closed()
    assert of(told, "opened")[0]["label"] == "1763141871.6"
    assert verdicts(told) == ["match"]


async def test_the_verb_for_jambonz_makes_a_call(
    guarded: Server, desk: Followed, enrolled: None, said: Any
) -> None:
    (verb,) = (json.loads(block) for block in blocks("jambonz", "json"))
    listen = verb["listen"]
    first = jambonz(listen["sampleRate"], listen["mixType"], **listen["metadata"])
    sound = encoded(said("anna", 3.0), "pcm_s16le", listen["sampleRate"])
    await call(
        guarded,
        listen["url"],
        [first, sound],
        subprotocols=["audio.jambonz.org"],
        additional_headers=basic(listen["wsAuth"]["username"], listen["wsAuth"]["password"]),
    )
    assert verdicts(await desk.closed()) == ["match"]


async def test_the_answer_to_vonage_makes_a_call(
    guarded: Server, desk: Followed, enrolled: None, said: Any
) -> None:
    (answer,) = (json.loads(block) for block in blocks("Vonage", "json"))
    (end,) = answer[0]["endpoint"]
    async with dialled(guarded, "/v1/control", additional_headers=bearer("phone-secret")) as asked:
        await asked.send('{"id": 1, "type": "url_token", "role": "stream"}')
        token = json.loads(await asked.recv())["result"]["token"]
    first = {"event": "websocket:connected", "content-type": end["content-type"]} | end["headers"]
    sound = encoded(said("anna", 3.0), "pcm_s16le", 16_000)
    await call(
        guarded,
        end["uri"].replace("phone-secret", token),
        [json.dumps(first), *(sound[place : place + 640] for place in range(0, len(sound), 640))],
        subprotocols=None,
    )
    assert verdicts(await desk.closed()) == ["match"]


async def test_the_programs_get_a_token_for_a_call_and_follow_it(
    guarded: Server, enrolled: None, said: Any, tmp_path: Path
) -> None:
    head = WRITTEN.partition("\n## ")[0]
    follow, mint = re.findall(r"^```python\n(.*?)^```", head, re.MULTILINE | re.DOTALL)
    env = {
        **os.environ,
        "PYTHONPATH": str(ROOT / "clients" / "python"),
        "VOXWATCH_URL": guarded.url,
        "VOXWATCH_DESK": "desk",
        "VOXWATCH_PHONES": "phone-secret",
        "CALL_SID": CALL,
    }

    async def run(source: str) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            sys.executable, "-c", source, env=env, stdout=asyncio.subprocess.PIPE
        )

    minted, _ = await (await run(mint)).communicate()
    following = await run(follow)
    while not len(guarded.context.hub):
        await asyncio.sleep(0.05)
    given = {"claim": "anna", "token": minted.decode().strip()}
    await call(guarded, "wss://x/v1/twilio", Twilio(**given).whole(encoded(said("anna", 3.0))))
    told, _ = await following.communicate()
    assert told.decode() == "match anna\n"
