/**
 * What the page shows of one stream, as a pure function of the messages about it.
 *
 * Everything that grows is bounded: traces and speech by media time, the rest by count. The
 * oldest goes first.
 */

import { bounded, noted, outage } from "./notes";
import { changed, continued, decided } from "./segments";
import { emptyView, type Lags, type Trace, type View } from "./view";
import type {
  Bounds,
  Configured,
  ExpectedRate,
  Fault,
  Lag,
  Message,
  Mode,
  Model,
  Ready,
  Score,
  StreamState,
  Vad,
  Why,
} from "voxwatch-client";
import { interruptionWords } from "./microphone/words";

export const HISTORY_S = 300;
const UTTERANCES = 2000;
const TOLD_S = 1; // shorter interruptions are no news
const SESSIONS = 8; // before the present one, for the report

/** The view after one more message. Never changes the one it is given. */
export function reduce(view: View, message: Message): View {
  const next = advance(view, message.t);
  switch (message.type) {
    case "ready":
      return "session" in message ? ready(next, message) : next;
    case "opened":
      return { ...next, ...described(message), ...cut(message) };
    case "configured":
      return configured(next, message);
    case "vad":
      return heard(next, message);
    case "stalled":
      return { ...next, stalled: message.stalled };
    case "score":
      return scored(next, message);
    case "decision":
      return decided(next, message);
    case "change":
      return changed(next, message);
    case "utterance":
      return { ...next, utterances: bounded([...next.utterances, message], UTTERANCES) };
    case "quality":
      return { ...next, quality: message };
    case "lag":
      return lagged(next, message);
    case "error":
      return { ...noted(next, message.t, "error", message), failures: next.failures + 1 };
    case "summary":
      return { ...closeSpeech(next, message.t), summary: message };
    default: // enrolments and stream lists are shown elsewhere
      return next;
  }
}

/** Media time goes on, without anything else being said. */
export function advance(view: View, media: number): View {
  return media > view.media ? { ...view, media } : view;
}

/** A stream watched from its middle: as far as the list of streams tells. */
export function joined(entry: StreamState): View {
  const { received_s: media, speech_s } = entry;
  const facts = { stream: entry.stream, ...described(entry), ...cut(entry) };
  const speech = entry.speaking ? [{ start: media, end: null }] : [];
  const view = { ...emptyView(), ...facts, media, speech, speech_s, stalled: entry.stalled };
  if (!entry.state) return view;
  const since = entry.since ?? entry.received_s;
  const { state, speaker } = entry;
  return {
    ...view,
    decision: {
      type: "decision",
      seq: 0,
      t: media,
      state,
      speaker,
      since,
      llr: null,
      net_speech_s: speech_s,
      reason: "",
      evidence: null,
      accept_llr: null,
      reject_llr: null,
      voice: null,
      false_accept: null,
      cause: null,
      advice: "",
      attainable_llr: null,
      enrolled_s: null,
    },
    segments: [{ start: since, end: null, state, speaker }],
  };
}

/** A stream watched on after a broken connection: what was known stays, what is now holds. */
export function rejoined(view: View, entry: StreamState): View {
  const quiet = closeSpeech(view, view.media); // what was said since then was not heard
  const { decision, segments, speech } = joined(entry);
  const old = view.decision;
  const same = old?.state === decision?.state && old?.speaker === decision?.speaker;
  const next = {
    ...quiet,
    media: Math.max(view.media, entry.received_s),
    stalled: entry.stalled,
    speech: [...quiet.speech, ...speech],
    speech_s: Math.max(quiet.speech_s, entry.speech_s),
  };
  if (same || !decision) return next;
  return { ...next, decision, takeover: null, segments: continued(view.segments, segments[0]!) };
}

/** Sound comes again after an interruption, of which nothing is on the media's clock. */
export function interrupted(view: View, fault: Fault, away_s: number): View {
  if (away_s < TOLD_S) return view;
  const event = { code: fault, message: interruptionWords(fault, away_s) };
  return noted(closeSpeech(view, view.media), view.media, "microphone", event);
}

const SESSION_WORDS: Record<Why, string> = {
  first: "A session began",
  gone: "The server no longer had the session; a new session began",
  rate: "The microphone has another rate; a new session began",
};

/** Another session: what happened in the last one stays in the lists. */
export function restarted(view: View, kept_s: number, why: Why): View {
  const { notes, session } = view;
  const past: View = { ...view, notes: [], traces: {}, lastScore: null, earlier: [] };
  const earlier = bounded([...view.earlier, past], SESSIONS);
  const next = { ...emptyView(), media: kept_s, notes, earlier, session: session + 1 };
  return noted(next, 0, "session", { code: why, message: SESSION_WORDS[why] });
}

/** How the stream's speech is cut into windows; what is not said stays. */
function cut(of: { window_s?: number; hop_s?: number; decide_s?: number }): Partial<View> {
  const { window_s, hop_s, decide_s } = of;
  if (window_s === undefined || hop_s === undefined || decide_s === undefined) return {};
  return { window_s, hop_s, decide_s };
}

function described(of: {
  label: string;
  mode: Mode;
  claims: string[];
  bounds: Bounds | null;
  expected_rates?: ExpectedRate[];
  model: Model | null;
}): Pick<View, "label" | "mode" | "claims" | "bounds" | "expectedRates" | "model"> {
  const { label, mode, claims, bounds = null, expected_rates: expectedRates = [] } = of;
  return { label, mode, claims, bounds, expectedRates, model: of.model ?? null };
}

function ready(view: View, message: Ready): View {
  const { stream, server, model, mode, claims, window_s, hop_s, first_s, decide_s, bounds } =
    message;
  const facts = { stream, server, model, mode, claims, window_s, hop_s, first_s, decide_s, bounds };
  return { ...view, ...facts, expectedRates: message.expected_rates };
}

function configured(view: View, message: Configured): View {
  const { mode, claims, bounds, expected_rates } = message;
  const expectedRates = expected_rates.length > 0 ? expected_rates : view.expectedRates;
  const asked = claims.join("\n") + mode;
  const before = view.claims.join("\n") + view.mode;
  const next = { ...view, mode, claims, bounds, expectedRates };
  // Another question: what was decided about the last one is no answer to it.
  return asked === before ? next : { ...next, decision: null, takeover: null };
}

function heard(view: View, message: Vad): View {
  if (message.speech) {
    const open = closeSpeech(view, message.at);
    const recent = open.speech.filter((s) => (s.end ?? view.media) > view.media - HISTORY_S);
    return { ...open, speech: [...recent, { start: message.at, end: null }] };
  }
  return closeSpeech(view, message.at);
}

function closeSpeech(view: View, at: number): View {
  const last = view.speech.at(-1);
  if (!last || last.end !== null) return view;
  const end = Math.max(at, last.start);
  return {
    ...view,
    speech: [...view.speech.slice(0, -1), { ...last, end }],
    speech_s: view.speech_s + end - last.start,
  };
}

function scored(view: View, score: Score): View {
  const trace = view.traces[score.speaker] ?? { t: [], llr: [], posterior: [], evidence: [] };
  const first = trace.t.findIndex((t) => t > score.t - HISTORY_S);
  const from = first < 0 ? trace.t.length : first;
  const longer: Trace = {
    t: [...trace.t.slice(from), score.t],
    llr: [...trace.llr.slice(from), score.llr],
    posterior: [...trace.posterior.slice(from), score.posterior],
    evidence: [...trace.evidence.slice(from), score.evidence ?? null],
  };
  const traces = { ...view.traces, [score.speaker]: longer };
  for (const [speaker, { t }] of Object.entries(traces)) {
    if ((t.at(-1) ?? 0) <= score.t - HISTORY_S) delete traces[speaker];
  }
  const best = view.lastScore;
  // Of several claimed speakers the best of a window speaks for it.
  const lastScore = best && best.t === score.t && best.llr > score.llr ? best : score;
  return { ...view, traces, lastScore, priorLogit: priorLogit(score) ?? view.priorLogit };
}

/** The prior's log odds, from a score's posterior and LLR; null where rounding hides them. */
function priorLogit({ posterior, llr }: Score): number | null {
  if (posterior <= 0 || posterior >= 1) return null;
  const logit = Math.log(posterior / (1 - posterior)) - llr;
  return Math.abs(logit) < 20 ? logit : null;
}

function lagged(view: View, lag: Lag): View {
  const { lags } = view;
  const next: Lags = {
    ...lags,
    dropped: lags.dropped + lag.dropped,
    behind_s: lag.behind_s,
    hop_s: lag.hop_s !== null && lag.hop_s <= view.hop_s ? null : (lag.hop_s ?? lags.hop_s),
  };
  if (lag.reason === "overload" && lag.behind_s > 0) next.overload += 1;
  if (lag.reason === "slow-consumer") next.slow_consumer += 1;
  if (lag.reason === "input-overflow") next.input_overflow += 1;
  return outage({ ...view, lags: next }, lag);
}
