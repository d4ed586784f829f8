/** What the page shows of one stream, and the questions asked of it. Times are media seconds. */

import type {
  Bounds,
  Change,
  Decision,
  ExpectedRate,
  Lag,
  Mode,
  Model,
  Quality,
  Score,
  State,
  Summary,
  Utterance,
} from "voxwatch-client";

/** Speech from `start`; `end` is null while somebody speaks. */
export interface Span {
  start: number;
  end: number | null;
}

/** One state for a time. `changed`: another voice, before anything is decided about it. */
export interface Segment {
  start: number;
  end: number | null;
  state: State | "changed";
  speaker: string | null;
}

/** Scores of one speaker, as columns of equal length, oldest first. */
export interface Trace {
  t: number[];
  llr: number[];
  posterior: number[];
  /** That the speaker speaks now; null where the server does not say. */
  evidence: (number | null)[];
}

/** A line of the event list. */
export interface Note {
  /** Sessions before the one it is of. */
  session: number;
  t: number;
  kind: "decision" | "change" | "lag" | "error" | "session" | "microphone";
  event: Decision | Change | Outage | { code: string; message: string };
}

/** All that was said of one time in which something came late or was lost. Media seconds. */
export interface Outage {
  reason: Lag["reason"];
  start: number;
  end: number;
  behind_s: number;
  worst_s: number;
  hop_s: number | null;
  dropped: number;
  /** It is on time again. */
  over: boolean;
}

export interface Lags {
  overload: number;
  slow_consumer: number;
  input_overflow: number;
  dropped: number;
  /** How late the server was when it last said so; 0 once it is on time again. */
  behind_s: number;
  /** The hop it widened to; null while it is as asked for. */
  hop_s: number | null;
}

export interface View {
  stream: string;
  label: string;
  mode: Mode;
  claims: string[];
  model: Model | null;
  server: string;
  /** 0: not known, as of a stream that is only watched. */
  window_s: number;
  hop_s: number;
  first_s: number;
  decide_s: number;
  bounds: Bounds | null;
  /** Rates to be expected with the enrolment of this stream; none where they are not known. */
  expectedRates: ExpectedRate[];
  /** Latest media time known, in seconds. */
  media: number;
  speech: Span[];
  /** No sound comes: what was decided is not current. */
  stalled: boolean;
  /** Net speech of the spans that have ended, since the start or since watching began. */
  speech_s: number;
  decision: Decision | null;
  /** The change that the state pill tells of, until a decision settles who it is. */
  takeover: Change | null;
  changes: Change[];
  segments: Segment[];
  traces: Record<string, Trace>;
  lastScore: Score | null;
  /** Log odds of the server's prior, which it does not say; from the scores. */
  priorLogit: number;
  utterances: Utterance[];
  notes: Note[];
  quality: Quality | null;
  lags: Lags;
  failures: number;
  summary: Summary | null;
  /** Sessions that the server lost, oldest first; their notes are in `notes`. */
  earlier: View[];
  /** How many those were in all. */
  session: number;
}

export function emptyView(): View {
  return {
    stream: "",
    label: "",
    mode: "verify",
    claims: [],
    model: null,
    server: "",
    window_s: 0,
    hop_s: 0.5,
    first_s: 1,
    decide_s: 1.5,
    bounds: null,
    expectedRates: [],
    media: 0,
    speech: [],
    stalled: false,
    speech_s: 0,
    decision: null,
    takeover: null,
    changes: [],
    segments: [],
    traces: {},
    lastScore: null,
    priorLogit: 0,
    utterances: [],
    notes: [],
    quality: null,
    lags: {
      overload: 0,
      slow_consumer: 0,
      input_overflow: 0,
      dropped: 0,
      behind_s: 0,
      hop_s: null,
    },
    failures: 0,
    summary: null,
    earlier: [],
    session: 0,
  };
}

/** Net speech between two media times, as far as the history reaches. */
export function speechBetween(view: View, from: number, to: number): number {
  return view.speech.reduce((sum, span) => {
    const overlap = Math.min(span.end ?? view.media, to) - Math.max(span.start, from);
    return sum + Math.max(0, overlap);
  }, 0);
}

/** Net speech still missing before anything can be decided; 0 when there is enough. */
export function speechMissing(view: View): number {
  const decision = view.decision;
  if (!decision) return Math.max(0, view.decide_s - spoken_s(view));
  if (decision.state !== "insufficient") return 0;
  // After a change a decision counts anew, but says the net speech of the whole stream.
  const had = decision.net_speech_s < view.decide_s ? decision.net_speech_s : 0;
  return Math.max(0, view.decide_s - had - speechBetween(view, decision.t, view.media));
}

/** Net speech so far; never more than there was sound. */
export function spoken_s(view: View): number {
  const last = view.speech.at(-1);
  const now = last?.end === null ? Math.max(0, view.media - last.start) : 0;
  return Math.min(view.speech_s + now, view.media);
}

/** How likely it is, by what decisions rest on: the evidence, or else the window alone. */
export function probabilityOf(view: View, score: Score): number {
  const { evidence = null, posterior } = score;
  return evidence === null ? posterior : sigmoid(evidence + view.priorLogit);
}

export function sigmoid(logit: number): number {
  return 1 / (1 + Math.exp(-logit));
}

/** Whether somebody speaks now. */
export function speaking(view: View): boolean {
  return view.speech.at(-1)?.end === null;
}

/** How long nobody has spoken; 0 while somebody does, null before the first word. */
export function silentFor(view: View): number | null {
  const last = view.speech.at(-1);
  if (!last) return null;
  return last.end === null ? 0 : Math.max(0, view.media - last.end);
}
