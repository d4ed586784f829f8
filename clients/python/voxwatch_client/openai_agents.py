"""OpenAI Agents SDK: no tool is called for somebody who is not the claimed speaker.

    gate = SpeakerGate("ws://localhost:8765", claim="alice", sample_rate=24_000)

    @function_tool(tool_input_guardrails=[speaker_guardrail(gate)])
    def open_door() -> str: ...

Give the gate the sound that the agent hears (:meth:`SpeakerGate.hear`). The turn that was said last
decides; what the model is told when a call is refused is no figure to climb by.
"""

from __future__ import annotations

from typing import Any

from agents import ToolGuardrailFunctionOutput, ToolInputGuardrail, ToolInputGuardrailData

from voxwatch_client.gate import SpeakerGate

REFUSED = (
    "The tool was not called: the voice that asked for it is not verified as the person who may."
    " Do not try again by yourself; say so and ask the person to speak again."
)


def speaker_guardrail(
    gate: SpeakerGate, *, within_s: float = 30.0, wait_s: float | None = None
) -> ToolInputGuardrail[Any]:
    """A guardrail for tools: the last turn, at most ``within_s`` old, has to be the speaker's.

    It waits at most ``wait_s`` (the gate's own if None); then the gate's ``when_unsure`` holds.
    """

    async def speaker_is_verified(_: ToolInputGuardrailData) -> ToolGuardrailFunctionOutput:
        verdict = await gate.judge_last(within_s=within_s, wait_s=wait_s)
        told = {"state": verdict.state, "speaker": verdict.speaker}
        if verdict.allowed:
            return ToolGuardrailFunctionOutput.allow(told)
        return ToolGuardrailFunctionOutput.reject_content(REFUSED, told)

    return ToolInputGuardrail(guardrail_function=speaker_is_verified)
