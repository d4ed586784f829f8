"""Runs in the OpenAI Agents SDK's environment: an agent with one guarded tool, and no network.

Arguments: the server's URL, options of the gate as JSON, and files of raw PCM (16 kHz), each of
which is heard before the agent is asked once, or `-`. In the middle of a file behind `restart:` it
says so to the test, and goes on while the server stops and comes back. The model of the stand-in
always calls the tool and repeats what it is told. Prints what came of each.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from agents import Agent, Model, ModelResponse, RunConfig, Runner, Usage, function_tool
from openai.types.responses import (
    ResponseFunctionToolCall,
    ResponseOutputMessage,
    ResponseOutputText,
)

from voxwatch_client.gate import SpeakerGate
from voxwatch_client.openai_agents import speaker_guardrail

PIECE = 3200


class CallsTheTool(Model):
    """Calls the tool once and says what came back."""

    async def get_response(self, *_: Any, input: Any = (), **__: Any) -> ModelResponse:
        results = [one for one in input if isinstance(one, dict) and "output" in one]
        output: Any = ResponseFunctionToolCall(
            arguments="{}", call_id="1", name="open_door", type="function_call"
        )
        if results:
            text = ResponseOutputText(
                text=str(results[-1]["output"]), type="output_text", annotations=[]
            )
            output = ResponseOutputMessage(
                id="1", content=[text], role="assistant", status="completed", type="message"
            )
        return ModelResponse(output=[output], usage=Usage(), response_id=None)

    def stream_response(self, *_: Any, **__: Any) -> AsyncIterator[Any]:
        raise NotImplementedError


async def main(url: str, options: str, *sounds: str) -> None:
    async with SpeakerGate(url, **json.loads(options)) as gate:
        for sound in sounds:
            print(json.dumps(await ask(gate, sound)), flush=True)


async def ask(gate: SpeakerGate, sound: str) -> dict[str, Any]:
    called = False

    @function_tool(tool_input_guardrails=[speaker_guardrail(gate)])
    def open_door() -> str:
        nonlocal called
        called = True
        return "it is open"

    restarts = sound.startswith("restart:")
    pcm = b"" if sound == "-" else Path(sound.removeprefix("restart:")).read_bytes()
    await hear(gate, pcm)
    if restarts:
        for place, connected in (("middle", False), ("away", True)):
            print(json.dumps({"at": place}), flush=True)
            while gate.connected is not connected:
                await hear(gate, pcm[: 3 * PIECE])
    listening = asyncio.create_task(microphone(gate))
    agent = Agent(name="porter", model=CallsTheTool(), tools=[open_door])
    run = await Runner.run(agent, "open the door", run_config=RunConfig(tracing_disabled=True))
    listening.cancel()
    return {"called": called, "told": run.final_output}


async def hear(gate: SpeakerGate, pcm: bytes) -> None:
    for start in range(0, len(pcm), PIECE):
        gate.hear(pcm[start : start + PIECE])
        await asyncio.sleep(0.01)


async def microphone(gate: SpeakerGate) -> None:
    while True:
        gate.hear(bytes(PIECE))
        await asyncio.sleep(0.02)


asyncio.run(main(*sys.argv[1:]))
