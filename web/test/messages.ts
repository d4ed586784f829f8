/** Messages for the tests, with what does not matter filled in. */

import type { Change, Decision, Lag, Quality, Score, State, Utterance, Vad } from "voxwatch-client";

export { ready } from "../../clients/js/test/messages.js";

export function vad(at: number, speech: boolean): Vad {
  return { type: "vad", seq: 1, t: at, speech, at };
}

export function score(t: number, speaker: string, llr: number): Score {
  const posterior = 1 / (1 + Math.exp(-llr));
  return {
    type: "score",
    seq: 1,
    t,
    speaker,
    cosine: 0.5,
    norm: 1,
    llr,
    posterior,
    runner_up: null,
    net_speech_s: t,
    window_s: 3,
    evidence: null,
  };
}

export function decision(t: number, state: State, speaker: string | null): Decision {
  return {
    type: "decision",
    seq: 1,
    t,
    state,
    speaker,
    since: t,
    llr: 1,
    net_speech_s: t,
    reason: "because",
    evidence: null,
    accept_llr: null,
    reject_llr: null,
    voice: null,
    false_accept: null,
    cause: null,
    advice: "",
    attainable_llr: null,
    enrolled_s: null,
  };
}

export function utterance(fields: Partial<Utterance>): Utterance {
  return {
    ...decision(6, "match", "Alice"),
    posterior: null,
    problems: [],
    background: false,
    below_db: null,
    type: "utterance",
    seq: 1,
    t: 6,
    start: 3.4,
    end: 5.4,
    speech_s: 1.9,
    ...fields,
  };
}

export function change(at: number, noticed: number, from: string | null): Change {
  return { type: "change", seq: 1, t: noticed, at, detected_at: noticed, llr: -3, from, to: null };
}

export function quality(t: number, of: Partial<Quality> = {}): Quality {
  return {
    type: "quality",
    seq: 1,
    t,
    level_dbfs: -23,
    clipped: 0,
    snr_db: 25,
    speech_share: 0.9,
    problems: [],
    likely: null,
    advice: "",
    repeated_since: null,
    ...of,
  };
}

export function lag(t: number, of: Partial<Lag> = {}): Lag {
  return { type: "lag", seq: 1, t, reason: "overload", behind_s: 1, hop_s: null, dropped: 0, ...of };
}
