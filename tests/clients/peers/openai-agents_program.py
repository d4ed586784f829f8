"""Runs in the OpenAI Agents SDK's environment: an agent with one guarded tool, and no network.

Arguments: the server's URL, options of the gate as JSON, a file of raw PCM (16 kHz) or `-`. The
model of the stand-in always calls the tool and repeats what it is told. Prints what came of it.
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


async def main(url: str, options: str, sound: str) -> None:
    called = False
    async with SpeakerGate(url, **json.loads(options)) as gate:

        @function_tool(tool_input_guardrails=[speaker_guardrail(gate)])
        def open_door() -> str:
            nonlocal called
            called = True
            return "it is open"

        pcm = b"" if sound == "-" else Path(sound).read_bytes()
        for start in range(0, len(pcm), PIECE):
            gate.hear(pcm[start : start + PIECE])
            await asyncio.sleep(0.01)
        listening = asyncio.create_task(microphone(gate))
        agent = Agent(name="porter", model=CallsTheTool(), tools=[open_door])
        run = await Runner.run(agent, "open the door", run_config=RunConfig(tracing_disabled=True))
        listening.cancel()
    print(json.dumps({"called": called, "told": run.final_output}))


async def microphone(gate: SpeakerGate) -> None:
    while True:
        gate.hear(bytes(PIECE))
        await asyncio.sleep(0.02)


asyncio.run(main(*sys.argv[1:]))
