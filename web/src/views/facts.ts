/** What the session is, how fast it answers, and what was late or lost. */

import { el, rows } from "../dom";
import { spoken_s, type View } from "../view";
import { question } from "../report";
import type { Transport } from "../source";
import { clock, duration, turnWords } from "../words";

export function updateFacts(view: View, transport: Transport, server: string): void {
  const { model } = view;
  const turn = view.utterances.at(-1);
  const rate = transport.sampleRate;
  const format = rate ? `${(rate / 1000).toFixed(1)} kHz` : "–";
  rows(el("facts"), [
    ["Question", view.stream ? question(view) : "–"],
    ["Time", `${clock(view.media)}, ${duration(spoken_s(view))} of speech`],
    ["Last turn", turn ? turnWords(turn, view.claims) : "–"],
    ["Answers after", transport.latency_s === null ? "–" : `${transport.latency_s.toFixed(2)} s`],
    ["Model", model ? `${model.name} ${model.version}`.trim() : "–"],
    ["Runs on", model ? providerName(model.provider) : "–"],
    ["Windows", view.window_s ? `${view.window_s} s, each ${view.hop_s} s` : "–"],
    ["Microphone", format],
    ["Server", view.server || server || "–"],
  ]);
  const { lags } = view;
  rows(el("counters"), [
    ["Behind now", `${lags.behind_s.toFixed(1)} s`],
    ["Overloads", lags.hop_s === null ? String(lags.overload) : `${lags.overload}, each ${lags.hop_s} s now`],
    ["Left out as this page was slow", String(lags.slow_consumer)],
    ["Dropped", String(lags.dropped + view.failures)],
    ["Sound lost", duration(transport.lost_s)],
    ["Waiting to be sent", duration(transport.unsent_s)],
    ["Reconnected", transport.restarts ? `${transport.reconnects}, ${transport.restarts} anew` : String(transport.reconnects)],
  ]);
}

function providerName(provider: string): string {
  const name = provider.replace("ExecutionProvider", "");
  return name.length < 5 ? name.toUpperCase() : name;
}
