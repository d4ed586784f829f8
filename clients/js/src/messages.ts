/**
 * What goes over the wire of version 1: messages of the server and of clients.
 *
 * Written by scripts/generate_wire.py from the server's own records. `t` and every `_s` are seconds
 * of media time; an `llr` is a natural-log likelihood ratio.
 */

export type Encoding = "pcm_s16le" | "pcm_f32le" | "mulaw" | "alaw";
export type Mode = "verify" | "identify" | "changes";
export type State = "insufficient" | "match" | "mismatch" | "uncertain" | "unknown";
export type Cause =
  | "format-suspect"
  | "rate-suspect"
  | "little-speech"
  | "noisy"
  | "clipped"
  | "quiet"
  | "like-voices"
  | "another-voice"
  | "more-speech"
  | "short-enrolment"
  | "near-bound"
  | "saturated";
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
export type LagReason = "overload" | "slow-consumer" | "input-overflow";
export type RefusalCode =
  | "too-short"
  | "clipped"
  | "noisy"
  | "several-voices"
  | "silent"
  | "wrong-format";
export type IncidentKind =
  | "takeover"
  | "mismatch"
  | "other-voice"
  | "overlap"
  | "undecided"
  | "silent"
  | "noisy"
  | "tampering"
  | "dropped";
export type DeskAct = "acknowledge" | "note" | "verdict" | "hold" | "release";
export type Judgement = "cleared" | "violation" | "needs-review";
export type SoundEncoding = "pcm_s16le" | "pcm_f32le" | "mulaw" | "alaw" | "opus";

/** What every message has: its number, media time and, from `ready` on, the time of day (UTC). */
export interface Base {
  seq: number;
  t: number;
  at_time?: string;
  /** On monitors: the public id of the stream. */
  stream?: string;
}

/** The bundle that is served, and what it runs on. */
export interface Model {
  name: string;
  version: string;
  sha256: string;
  provider: string;
}

/** The error rates asked for and the LLR bounds that follow from them. */
export interface Bounds {
  false_accept: number;
  miss: number;
  accept_llr: number;
  reject_llr: number;
}

/**
 * After `speech_s` of clean speech, where `false_accept` is stated.
 *
 * `accepted` is the share of strangers who are, `not_accepted` that of the right speakers
 * who are not.
 */
export type ExpectedRate = readonly [speech_s: number, false_accept: number, accepted: number, not_accepted: number];

/** What a client has to keep to. */
export interface StreamLimits {
  message_bytes: number;
  idle_s: number;
  stream_s: number;
  backlog_s: number;
  resume_s: number;
  audio_s_per_client_hour: number | null;
  attempts_per_hour: number | null;
}

/**
 * The stream is open, or goes on: sound is taken from byte `received_bytes` on.
 *
 * `session` is the secret with which the stream resumes, `stream` its public name.
 * `claims` are the names to verify; who is enrolled is not told to a stream that asks
 * who it is. First scores come after `first_s` of speech, decisions after `decide_s`.
 * `expected_rates` are those of this stream's enrolment, by speech and stated false accepts.
 */
export interface Ready extends Base {
  type: "ready";
  session: string;
  stream: string;
  server: string;
  model: Model;
  mode: Mode;
  claims: string[];
  window_s: number;
  hop_s: number;
  first_s: number;
  decide_s: number;
  bounds: Bounds;
  expected_rates: ExpectedRate[];
  operating_points: ([number, number, number])[] | null;
  limits: StreamLimits;
  received_bytes: number;
  resumed: boolean;
}

/** What holds from here on. */
export interface Configured extends Base {
  type: "configured";
  mode: Mode;
  claims: string[];
  bounds: Bounds;
  expected_rates: ExpectedRate[];
}

/**
 * So many bytes of the stream were taken: none of them will be asked for again.
 *
 * It is told of Opus, of whose bytes a time says nothing.
 */
export interface Received extends Base {
  type: "received";
  received_bytes: number;
}

/** Speech started or ended at `at`; or a turn was asked for there, in speech or not. */
export interface Vad extends Base {
  type: "vad";
  speech: boolean;
  at: number;
}

/**
 * No sound has come for `gap_s` of the clock, or, not `stalled`, it is back after so long.
 *
 * While a stream is stalled its state is not current: who speaks now is not known.
 */
export interface Stalled extends Base {
  type: "stalled";
  stalled: boolean;
  gap_s: number;
}

/**
 * One window against one speaker: the claimed one, or the best of those enrolled.
 *
 * `evidence` is that the speaker speaks now, by all the speech so far: decisions rest on it,
 * and not on `llr`, which is the window's alone.
 */
export interface Score extends Base {
  type: "score";
  speaker: string;
  cosine: number;
  norm: number;
  llr: number;
  posterior: number;
  runner_up: string | null;
  net_speech_s: number;
  window_s: number;
  evidence: number | null;
}

/**
 * The state from `since` on, and the evidence that made it.
 *
 * `evidence` is that of the speaker speaking now, `accept_llr` and
 * `reject_llr` the bounds it was held against, `llr` that of the last window alone.
 * `voice` is the session's label of whoever speaks, enrolled or not.
 *
 * While nothing is decided `cause` says why and `advice` what helps. `attainable_llr` is
 * the evidence that much more of the same speech would come to, `enrolled_s` the net speech of
 * the voiceprint, `false_accept` the error rate behind `accept_llr`. A state that stays open
 * is told again, `since` the same moment, where its cause has become another.
 */
export interface Decision extends Base {
  type: "decision";
  state: State;
  speaker: string | null;
  since: number;
  llr: number | null;
  net_speech_s: number;
  reason: string;
  evidence: number | null;
  accept_llr: number | null;
  reject_llr: number | null;
  voice: string | null;
  false_accept: number | null;
  cause: Cause | null;
  advice: string;
  attainable_llr: number | null;
  enrolled_s: number | null;
}

/**
 * Another voice, which began at about `at` and was noticed at `detected_at`.
 *
 * `from` and `to` are names, where they were matched in this session, and otherwise its
 * labels (`voice-1`, `voice-2`, ...), which stay with a voice that comes back. `llr` is that
 * of the last window and the speech before: of one voice against two.
 */
export interface Change extends Base {
  type: "change";
  at: number;
  detected_at: number;
  llr: number;
  from: string | null;
  to: string | null;
}

/**
 * A turn has ended, speech between two pauses, and is judged by its own speech alone.
 *
 * `llr` is that of exactly the turn's `speech_s` against `speaker`, or against the best of
 * those enrolled where nobody is named, `posterior` what follows from it, and `evidence` what
 * the bounds `accept_llr` and `reject_llr` were held against. Less than 0.4 s of speech is
 * `insufficient`. `voice` is the session's label of the voice, `problems` are those of the
 * turn's sound. `background`: it is another voice, so far below the one before (`below_db`)
 * that it is taken to be far from the microphone, as of a television, and no takeover. The
 * fields from `false_accept` on are those of `Decision`.
 */
export interface Utterance extends Base {
  type: "utterance";
  start: number;
  end: number;
  speech_s: number;
  state: State;
  speaker: string | null;
  llr: number | null;
  voice: string | null;
  posterior: number | null;
  evidence: number | null;
  accept_llr: number | null;
  reject_llr: number | null;
  problems: Problem[];
  reason: string;
  background: boolean;
  below_db: number | null;
  false_accept: number | null;
  cause: Cause | null;
  advice: string;
  attainable_llr: number | null;
  enrolled_s: number | null;
}

/** Two voices speak at once since `start`, and once that is over, until `end`. */
export interface Overlap extends Base {
  type: "overlap";
  start: number;
  end: number | null;
}

/**
 * The sound of the last period. Figures that cannot be known are `null`.
 *
 * `level_dbfs` is the RMS of its speech, or of everything where nobody spoke;
 * `clipped` the share of its samples at full scale; `snr_db` estimates speech over noise;
 * `speech_share` is how much of it was speech. Where the sound is suspected of being other
 * than declared, `likely` is what it is, as the parameter to start with, and `advice` says
 * so in words. `repeated_since`: from there on it is sound that has come before, sample for
 * sample.
 */
export interface Quality extends Base {
  type: "quality";
  level_dbfs: number | null;
  clipped: number;
  snr_db: number | null;
  speech_share: number;
  problems: Problem[];
  likely: string | null;
  advice: string;
  repeated_since: number | null;
}

/**
 * Work came late or was dropped: `behind_s` how late, 0 once it is on time again.
 *
 * `hop_s` is the hop from now on, where that changed; `dropped` counts what was lost.
 */
export interface Lag extends Base {
  type: "lag";
  reason: LagReason;
  behind_s: number;
  hop_s: number | null;
  dropped: number;
}

/**
 * A window that could not be scored: never silence, never a low score.
 *
 * `retry_s`: after so many seconds it may be otherwise.
 */
export interface Failure extends Base {
  type: "error";
  code: string;
  message: string;
  retry_s?: number;
}

/** The end: seconds received, of speech and of match, and how often each state was entered. */
export interface Summary extends Base {
  type: "summary";
  received_s: number;
  speech_s: number;
  match_s: number;
  decisions: Record<string, number>;
  model: string;
}

/** The enrolment is open: so much net speech is wanted, and so much is the least. */
export interface EnrollReady extends Base {
  type: "ready";
  server: string;
  model: Model;
  name: string;
  needed_s: number;
  min_s: number;
  consent_text_version: string;
  limits: StreamLimits;
}

/**
 * The voiceprint is stored, durably, under `name`.
 *
 * `prototypes` and `net_speech_s` are all that is kept of the person, `agreement` is
 * that of this enrolment. `like_voices` are others who could be taken for this one.
 */
export interface EnrolledAs extends Base {
  type: "enrolled";
  name: string;
  net_speech_s: number;
  prototypes: number;
  agreement: number;
  like_voices: string[];
}

/**
 * An enrolment under way: net speech gathered of what is needed, and how the sound is.
 *
 * The quality figures are those of `Quality`, over the last two seconds.
 */
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

/** An enrolment cannot be used; `message` says why and what to do. */
export interface Refused extends Base {
  type: "refused";
  code: RefusalCode;
  message: string;
}

/**
 * One open stream as monitors see it.
 *
 * `speaking`: somebody speaks just now; `speech_s` is the net speech so far. `stalled`: no
 * sound comes, and the state is not current. `candidate` is the reference of a line of the
 * roster of `exam`; their name is the label.
 */
export interface StreamState {
  stream: string;
  label: string;
  mode: Mode;
  claims: string[];
  bounds: Bounds;
  expected_rates: ExpectedRate[];
  model: Model;
  state: State | null;
  speaker: string | null;
  since: number | null;
  speaking: boolean;
  stalled: boolean;
  speech_s: number;
  window_s: number;
  hop_s: number;
  decide_s: number;
  received_s: number;
  opened_at: number;
  exam: string | null;
  candidate: string | null;
  accommodations: string[];
}

/** The streams that are open now; what happens in them follows. */
export interface MonitorReady extends Base {
  type: "ready";
  server: string;
  streams: StreamState[];
}

/** To monitors: a stream has opened. */
export interface Opened extends Base {
  type: "opened";
  exam: string | null;
  candidate: string | null;
  accommodations: string[];
  label: string;
  mode: Mode;
  claims: string[];
  bounds: Bounds;
  expected_rates: ExpectedRate[];
  model: Model;
  window_s: number;
  hop_s: number;
  decide_s: number;
}

/** To monitors: a stream is gone; `code` is the WebSocket close code. */
export interface Closed extends Base {
  type: "closed";
  code: number;
}

/** To monitors: the peak, 0 to 127, of each `step_s` since the last. */
export interface Level extends Base {
  type: "level";
  step_s: number;
  peaks: number[];
}

/**
 * To monitors: something that a person should look at, told again whenever it has changed.
 *
 * It lasts from `since` to `until`, in media time and in seconds since 1970; null: it goes
 * on. `reason` is a sentence. `speech_s` is the net speech that it rests on, `voice` the
 * session's label of whose it is, `share` theirs of all turns so far, `count` how often it
 * happened. The higher `severity` the more it needs a person. `note_only`: it calls nobody.
 * It is open until somebody has acknowledged it.
 */
export interface Incident extends Base {
  type: "incident";
  id: string;
  kind: IncidentKind;
  since: number;
  until: number | null;
  since_at: number;
  until_at: number | null;
  evidence: number | null;
  speech_s: number;
  voice: string | null;
  share: number | null;
  count: number;
  reason: string;
  severity: number;
  note_only: boolean;
  acknowledged_by: string | null;
  acknowledged_at: number | null;
}

/** To monitors: what somebody at a desk did about a stream, `at` seconds since 1970. */
export interface Acted extends Base {
  type: "act";
  at: number;
  who: string;
  act: DeskAct;
  incident: string | null;
  text: string;
  verdict: Judgement | null;
}

/**
 * On a whole recording, as an `utterance` is on a turn, and what it was judged by.
 *
 * `turns` are the utterances in it.
 */
export interface Verdict extends Base {
  type: "verdict";
  start: number;
  end: number;
  speech_s: number;
  state: State;
  speaker: string | null;
  llr: number | null;
  voice: string | null;
  posterior: number | null;
  evidence: number | null;
  accept_llr: number | null;
  reject_llr: number | null;
  problems: Problem[];
  reason: string;
  background: boolean;
  below_db: number | null;
  false_accept: number | null;
  cause: Cause | null;
  advice: string;
  attainable_llr: number | null;
  enrolled_s: number | null;
  mode: Mode;
  claims: string[];
  bounds: Bounds;
  received_s: number;
  turns: Utterance[];
  model: Model;
}

/** An error's code, for programs, and what it is and what to do, for people. */
export interface WhatIsWrong {
  code: string;
  message: string;
}

/** The answer to a recording that gets no verdict. */
export interface Refusal {
  error: WhatIsWrong;
}

/**
 * The format of the sound and what to say of it; with `session` a dropped stream goes on.
 *
 * Of Opus `channel` alone counts: the rest its container tells. `live` false: it is a file,
 * whose pace says nothing of pauses. `candidate` of `exam` is
 * whose stream it is: then their voiceprint is claimed, and their name is the label.
 *
 * A session that goes on keeps what it was started with: of a start that resumes only
 * `session` and `resume_from`, the first sequence number the client lacks, count.
 */
export interface StartStream {
  encoding?: SoundEncoding;
  sample_rate?: number;
  channels?: number;
  channel?: number;
  live?: boolean | null;
  claim?: string | string[];
  window_s?: number | null;
  hop_s?: number | null;
  false_accept?: number | null;
  miss?: number | null;
  label?: string;
  exam?: string | null;
  candidate?: string | null;
  session?: string | null;
  resume_from?: number | null;
}

/**
 * Whose voice it is, that they agreed, and the format of the sound.
 *
 * Whoever comes by a candidate link has their name from the roster.
 */
export interface StartEnroll {
  name?: string;
  consent?: GivenConsent | null;
  ttl_days?: number | null;
  add?: boolean;
  encoding?: SoundEncoding;
  sample_rate?: number;
  channels?: number;
  channel?: number;
}

/**
 * That the person agreed, and to which text.
 *
 * `text_sha256` says to which wording of it, `language` in which of the languages of `seat` it
 * was shown.
 */
export interface GivenConsent {
  given: boolean;
  text_version: string;
  text_sha256?: string | null;
  language?: string | null;
}

/** Other bounds or another claim from here on; what is `null` stays. */
export interface Configure {
  type: "configure";
  false_accept?: number | null;
  miss?: number | null;
  claim?: string | string[] | null;
}

/** The end of the sound: everything received is scored, then the summary. */
export interface Finalize {
  type: "finalize";
}

/** The end, now: the summary of what is known. */
export interface Close {
  type: "close";
}

/** No sound for now, but do not take the stream for idle. */
export interface Keepalive {
  type: "keepalive";
}

/** A new turn begins here: a button was pushed to talk, or a wake word said. */
export interface Turn {
  type: "turn";
}

/** Forget who has spoken: from here on it may be anybody. */
export interface Reset {
  type: "reset";
}

/** From here on comes our own loudspeaker, or no longer: it is heard, and never judged. */
export interface Mute {
  type: "mute";
  on: boolean;
}

/** What a newer server says and this client has no type for; `fields` are as it came. */
export interface Unknown extends Base {
  type: "unknown";
  kind: string;
  fields: Record<string, unknown>;
}

export type StreamMessage =
  | Ready
  | Configured
  | Received
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
  | Unknown;

export type EnrollMessage =
  | EnrollReady
  | EnrolledAs
  | Received
  | Progress
  | Refused
  | Failure
  | Lag
  | Unknown;

export type MonitorMessage =
  | MonitorReady
  | Opened
  | Closed
  | Level
  | Incident
  | Acted
  | Configured
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
  | Unknown;

export type StreamControl = Finalize | Close | Keepalive | Configure | Turn | Reset | Mute;

/** The types of messages that are known here. */
export const KINDS: ReadonlySet<string> = new Set([
  "act",
  "change",
  "closed",
  "configured",
  "decision",
  "enrolled",
  "error",
  "incident",
  "lag",
  "level",
  "opened",
  "overlap",
  "progress",
  "quality",
  "ready",
  "received",
  "refused",
  "score",
  "stalled",
  "summary",
  "utterance",
  "vad",
  "verdict",
]);

/** What is meant where a server does not say it, by type of message. */
export const DEFAULTS: Record<string, Record<string, unknown>> = {
  "StreamLimits": {
    "audio_s_per_client_hour": null,
    "attempts_per_hour": null
  },
  "configured": {
    "expected_rates": []
  },
  "score": {
    "evidence": null
  },
  "decision": {
    "evidence": null,
    "accept_llr": null,
    "reject_llr": null,
    "voice": null,
    "false_accept": null,
    "cause": null,
    "advice": "",
    "attainable_llr": null,
    "enrolled_s": null
  },
  "utterance": {
    "voice": null,
    "posterior": null,
    "evidence": null,
    "accept_llr": null,
    "reject_llr": null,
    "problems": [],
    "reason": "",
    "background": false,
    "below_db": null,
    "false_accept": null,
    "cause": null,
    "advice": "",
    "attainable_llr": null,
    "enrolled_s": null
  },
  "quality": {
    "likely": null,
    "advice": "",
    "repeated_since": null
  },
  "enrolled": {
    "like_voices": []
  },
  "StreamState": {
    "exam": null,
    "candidate": null,
    "accommodations": []
  },
  "opened": {
    "exam": null,
    "candidate": null,
    "accommodations": []
  },
  "incident": {
    "until": null,
    "until_at": null,
    "evidence": null,
    "speech_s": 0.0,
    "voice": null,
    "share": null,
    "count": 1,
    "note_only": false,
    "acknowledged_by": null,
    "acknowledged_at": null
  },
  "act": {
    "incident": null,
    "text": "",
    "verdict": null
  },
  "verdict": {
    "voice": null,
    "posterior": null,
    "evidence": null,
    "accept_llr": null,
    "reject_llr": null,
    "problems": [],
    "reason": "",
    "background": false,
    "below_db": null,
    "false_accept": null,
    "cause": null,
    "advice": "",
    "attainable_llr": null,
    "enrolled_s": null
  }
};

/** The codes of the errors after which a connection closes. */
export const LAST: ReadonlySet<string> = new Set([
  "audio-quota",
  "bad-message",
  "bad-name",
  "bad-parameter",
  "bad-rate",
  "bad-sound",
  "bad-start",
  "binary-before-start",
  "consent-missing",
  "consent-withdrawn",
  "encoding-unsupported",
  "engine-failed",
  "gap",
  "idle",
  "message-too-big",
  "name-taken",
  "no-records",
  "overloaded",
  "record-failed",
  "second-start",
  "shutting-down",
  "slow-consumer",
  "store-failed",
  "stream-too-long",
  "taken-over",
  "text-not-utf8",
  "too-many-attempts",
  "too-many-claims",
  "unauthorised",
  "unknown-control",
  "unknown-encoding",
  "unknown-session",
  "unknown-speaker",
  "unknown-stream",
  "unusable-voiceprint",
  "wrong-format",
  "wrong-frame",
]);

export const SAMPLE_BYTES: Partial<Record<Encoding, number>> = {
  "pcm_s16le": 2,
  "pcm_f32le": 4,
  "mulaw": 1,
  "alaw": 1
};
