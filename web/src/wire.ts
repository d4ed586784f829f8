/**
 * Wire version 1: the messages.
 *
 * Times (`t`, `_s`) are seconds of media time, `llr` is a natural-log likelihood ratio. What a
 * server does not say is null or empty here, so that no view has to ask twice. More than 300
 * lines, as each message is written out once.
 */

import { type Acted, type IncidentTold } from "./incidents";

export type State = "insufficient" | "match" | "mismatch" | "uncertain" | "unknown";
export type Mode = "verify" | "identify" | "changes";

export interface Bounds {
  false_accept: number;
  miss: number;
  accept_llr: number;
  reject_llr: number;
}

export interface Model {
  name: string;
  version: string;
  sha256: string;
  provider: string;
}

/** After so much speech, where a rate is stated: strangers accepted, right speakers who are not. */
export type ExpectedRate = readonly [
  speech_s: number,
  stated: number,
  accepted: number,
  notAccepted: number,
];

export interface StreamEntry {
  stream: string;
  label: string;
  mode: Mode;
  claims: string[];
  state: State | null;
  speaker: string | null;
  since: number | null;
  /** Somebody speaks just now. */
  speaking: boolean;
  /** No sound comes: the state is not current. */
  stalled: boolean;
  /** Net speech so far. */
  speech_s: number;
  window_s: number;
  hop_s: number;
  decide_s: number;
  received_s: number;
  bounds: Bounds | null;
  expected_rates: ExpectedRate[];
  model: Model | null;
  /** Seconds since 1970; 0 where a server does not say. */
  opened_at: number;
  /** The exam it is part of, and the line of its roster; null for any other stream. */
  exam: string | null;
  candidate: string | null;
  accommodations: string[];
}

export interface Base {
  seq: number;
  t: number;
  /** Time of day (RFC 3339) at which the sound until `t` had come; earlier servers do not say. */
  at_time?: string;
  /** The stream an event is about; only monitors say. */
  stream?: string;
}

export interface Ready extends Base {
  type: "ready";
  /** Secret that resumes a stream; empty for a monitor or an enrolment. */
  session: string;
  stream: string;
  server: string;
  model: Model | null;
  mode: Mode;
  claims: string[];
  window_s: number;
  hop_s: number;
  first_s: number;
  decide_s: number;
  bounds: Bounds | null;
  expected_rates: ExpectedRate[];
  received_bytes: number;
  resumed: boolean;
  /** Monitors: the streams that are live. */
  streams: StreamEntry[];
  /** Enrolments: net speech that completes one. */
  needed_s: number;
  /** Enrolments: net speech with which one can be finished early. */
  min_s: number;
}

export interface Vad extends Base {
  type: "vad";
  speech: boolean;
  at: number;
}

/** No sound has come for `gap_s` of the clock, or, not `stalled`, it is back after so long. */
export interface Stalled extends Base {
  type: "stalled";
  stalled: boolean;
  gap_s: number;
}

export interface Score extends Base {
  type: "score";
  speaker: string;
  cosine: number;
  llr: number;
  posterior: number;
  runner_up: string | null;
  net_speech_s: number;
  window_s: number;
  /** That the speaker speaks now, on which decisions rest; earlier servers do not say. */
  evidence?: number | null;
}

export interface Decision extends Base {
  type: "decision";
  state: State;
  speaker: string | null;
  since: number;
  llr: number | null;
  net_speech_s: number;
  reason: string;
  evidence?: number | null;
  /** The bounds it was held to, and the rate of false accepts behind the upper one. */
  accept_llr?: number | null;
  reject_llr?: number | null;
  false_accept?: number | null;
  /** While nothing is decided: why, as a code, and in words what it is and what helps. */
  cause?: string | null;
  advice?: string;
}

export interface Change extends Base {
  type: "change";
  at: number;
  detected_at: number;
  llr: number;
  from: string | null;
  to: string | null;
}

export interface Utterance extends Base {
  type: "utterance";
  start: number;
  end: number;
  speech_s: number;
  state: State;
  speaker: string | null;
  llr: number | null;
  posterior?: number | null;
  evidence?: number | null;
  accept_llr?: number | null;
  reject_llr?: number | null;
  problems?: Problem[];
  reason?: string;
  /** A voice far below the one before, as of a television: no takeover. */
  background?: boolean;
  below_db?: number | null;
  cause?: string | null;
  advice?: string;
}

/** Two voices at once since `start`; `end` is null until it is over. */
export interface Overlap extends Base {
  type: "overlap";
  start: number;
  end: number | null;
}

export type Problem =
  | "quiet"
  | "clipped"
  | "noisy"
  | "no-speech"
  | "dc-offset"
  | "hum"
  | "format-suspect"
  | "rate-suspect"
  | "repeated";

export interface Quality extends Base {
  type: "quality";
  level_dbfs: number | null;
  clipped: number;
  snr_db: number | null;
  speech_share: number;
  problems: Problem[];
  /** What to do about a wrong format or rate, or what is repeated, in the server's words. */
  advice?: string;
  /** From there on it is sound that had come before, sample for sample. */
  repeated_since?: number | null;
}

export interface Lag extends Base {
  type: "lag";
  reason: "overload" | "slow-consumer" | "input-overflow";
  behind_s: number;
  hop_s: number | null;
  dropped: number;
}

export interface Failure extends Base {
  type: "error";
  code: string;
  message: string;
}

export interface Summary extends Base {
  type: "summary";
  received_s: number;
  speech_s: number;
  match_s: number;
  decisions: Record<string, number>;
  model: string;
}

export interface Configured extends Base {
  type: "configured";
  mode: Mode;
  claims: string[];
  bounds: Bounds;
  expected_rates?: ExpectedRate[];
}

export interface Opened extends Base {
  type: "opened";
  label: string;
  mode: Mode;
  claims: string[];
  bounds: Bounds | null;
  expected_rates?: ExpectedRate[];
  model: Model | null;
  window_s?: number;
  hop_s?: number;
  decide_s?: number;
  exam?: string | null;
  candidate?: string | null;
  accommodations?: string[];
}

export interface Closed extends Base {
  type: "closed";
  code: number | string;
}

/** Peaks (0..127) of consecutive pieces of `step_s`; `t` is the end of the last. */
export interface Level extends Base {
  type: "level";
  step_s: number;
  peaks: number[];
}

export interface Progress extends Base {
  type: "progress";
  net_speech_s: number;
  needed_s: number;
  percent: number;
  level_dbfs: number | null;
  clipped: number;
  snr_db: number | null;
  problems: Problem[];
}

export interface Enrolled extends Base {
  type: "enrolled";
  name: string;
  net_speech_s: number;
  prototypes: number;
  agreement: number;
  /** Others enrolled who could be taken for this one, where one may know. */
  like_voices?: string[];
}

export interface Refused extends Base {
  type: "refused";
  code: string;
  message: string;
}

export type Message =
  | Ready
  | Vad
  | Stalled
  | Score
  | Decision
  | Change
  | Utterance
  | Overlap
  | Quality
  | Lag
  | Failure
  | Summary
  | Configured
  | Opened
  | Closed
  | Level
  | Progress
  | Enrolled
  | Refused
  | IncidentTold
  | Acted;
