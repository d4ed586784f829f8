/** Figures, problems and events, in words. */

import type {
  Change,
  Decision,
  Problem,
  Quality,
  Utterance,
} from "voxwatch-client";
import type { Note, Outage } from "./view";

/** "0:42", "12:05", "1:02:05". */
export function clock(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds));
  const parts = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const [hours = 0, minutes = 0, rest = 0] = parts;
  const tail = String(rest).padStart(2, "0");
  return hours ? `${hours}:${String(minutes).padStart(2, "0")}:${tail}` : `${minutes}:${tail}`;
}

/** "9.4 s", "58 s", "2 min 5 s"; cut off as a clock is, so that no part is longer than the whole. */
export function duration(seconds: number): string {
  if (seconds < 10) return `${(Math.floor(10 * seconds + 1e-6) / 10).toFixed(1)} s`;
  const whole = Math.floor(seconds);
  return whole < 60 ? `${whole} s` : `${Math.floor(whole / 60)} min ${whole % 60} s`;
}

/** "Alice", "Alice or Bob", "Alice, Bob or Carol". */
export function anyOf(names: readonly string[]): string {
  if (names.length < 2) return names[0] ?? "anybody";
  return `${names.slice(0, -1).join(", ")} or ${names.at(-1)}`;
}

const LABEL = /^voice-(\d+)$/;

/** Whether that is the session's own label of a voice that is not enrolled. */
export function isLabel(name: string): boolean {
  return LABEL.test(name);
}

/** A person's name as it is; a label, which says nothing by itself, in words. */
export function voiceName(name: string): string {
  return name.replace(LABEL, "an unknown voice (voice $1)");
}

/** Never rounds to a certainty that the model does not have. */
export function probability(posterior: number): string {
  if (posterior > 0.999) return "Over 99.9 %";
  if (posterior < 0.001) return "Under 0.1 %";
  const value = 100 * posterior;
  return `${value > 99 || value < 1 ? value.toFixed(1) : value.toFixed(0)} %`;
}

export const PROBLEMS: Record<Problem, { short: string; advice: string }> = {
  quiet: { short: "Too quiet", advice: "Speak up or move closer to the microphone." },
  clipped: { short: "Too loud", advice: "The sound is cut off: move back or lower the input level." },
  noisy: { short: "Noisy", advice: "There is much noise: go somewhere quieter." },
  "no-speech": { short: "No speech", advice: "No speech is heard: is the right microphone chosen?" },
  "dc-offset": { short: "Offset", advice: "The microphone adds a constant offset, which is taken away." },
  hum: { short: "Hum", advice: "Mains hum is heard: check the cable or the power supply." },
  "format-suspect": { short: "Wrong format", advice: "The sound is not of the format that was declared." },
  "rate-suspect": { short: "Wrong rate", advice: "The sound comes at another rate than was declared." },
  repeated: { short: "Heard before", advice: "The same sound came before: a loop, or a recording." },
};

/** A log-likelihood ratio: "+6.2", "−3.0". */
export function llrWords(llr: number): string {
  return `${llr >= 0 ? "+" : "−"}${Math.abs(llr).toFixed(1)}`;
}

/** One turn's own verdict: "Match – Alice, +6.2 in 1.9 s". */
export function turnWords(turn: Utterance, claims: readonly string[]): string {
  const evidence = (turn.evidence ?? null) === null ? "" : `, ${llrWords(turn.evidence!)}`;
  return `${verdict(turn, claims)}${evidence} in ${duration(turn.speech_s)}`;
}

/** In our words where we have some: a later server may know more problems. */
export function problemWords(problem: string): { short: string; advice: string } {
  const known: Record<string, { short: string; advice: string }> = PROBLEMS;
  return known[problem] ?? { short: problem, advice: `The server says of the sound: ${problem}.` };
}

/** What to do about the sound; the server knows more of formats and rates than these words. */
export function soundAdvice(quality: Quality | null): string {
  const ours = (quality?.problems ?? []).map((problem) => problemWords(problem).advice);
  return [...ours, ...(quality?.advice ? [sentence(quality.advice)] : [])].join(" ");
}

/** A warning where an enrolled voice is like others; "" where it is not. */
export function likeWords(others: readonly string[]): string {
  if (others.length === 0) return "";
  return `Careful: ${anyOf(others)} sounds alike, and each may be taken for the other.`;
}

export type Light = "good" | "bad" | "none";

export interface Reading {
  label: string;
  light: Light;
  value: string;
  word: string;
}

/** The four lights. Nothing known is neither good nor bad. */
export function readings(quality: Quality | null): Reading[] {
  const reading = (
    label: string,
    problem: Problem,
    value: string | null | undefined,
    good: string,
  ): Reading => {
    if (value === null || value === undefined) {
      const silent = quality !== null && quality.level_dbfs === null;
      return { label, light: "none", value: silent ? "no sound" : "not known yet", word: "" };
    }
    const bad = quality?.problems.includes(problem) ?? false;
    return {
      label,
      light: bad ? "bad" : "good",
      value,
      word: bad ? PROBLEMS[problem].short.toLowerCase() : good,
    };
  };
  const q = quality;
  return [
    reading("Level", "quiet", q && unit(q.level_dbfs, "dBFS"), "good"),
    reading("Clipping", "clipped", q && `${(100 * q.clipped).toFixed(q.clipped ? 1 : 0)} %`, "none"),
    reading("Noise", "noisy", q && unit(q.snr_db, "dB SNR"), "low"),
    reading("Speech", "no-speech", q && `${Math.round(100 * q.speech_share)} %`, "heard"),
  ];
}

function unit(value: number | null, name: string): string | null {
  return value === null ? null : `${Math.round(value)} ${name}`.replace("-", "−");
}

const SERVER: Record<string, string> = {
  "unknown-speaker": "That person is not enrolled (any more). Choose another.",
  "too-many-claims": "Too many people are asked for at once. Choose fewer.",
  "audio-quota": "This address has used up its sound for now. Try again later.",
  "stream-too-long": "The longest allowed session is over. Start a new one.",
  unauthorised: "The server needs a token for this. Enter one that allows it.",
  "forbidden-origin": "The server does not accept this page's address. Add it to its `origins`.",
  "name-taken": "Somebody of that name is enrolled already. Choose another name, or delete first.",
  "bad-name": "That name cannot be used. Use 1 to 64 printable characters and no comma.",
  "consent-missing": "Without consent nothing is recorded.",
  "store-failed": "The server could not save this. Its log says why.",
  overloaded: "The server is busy. Try again in a moment.",
  idle: "The server heard nothing for a minute. Start again.",
  "engine-failed": "The server's model failed. Its log says why.",
};

/** An error of the server: in our words where we have some, else in its own. */
export function serverProblem(error: { code: string; message: string } | null): string {
  if (!error) return "The server closed the connection.";
  return SERVER[error.code] ?? error.message ?? error.code;
}

type Refusal = { title: string; advice: string };

export const REFUSALS: Record<"too-short" | "clipped" | "noisy" | "silent", Refusal> = {
  "too-short": { title: "Too little speech", advice: "Read on to the end, without long pauses." },
  clipped: { title: "Too loud", advice: "Move back from the microphone or lower its level." },
  noisy: { title: "Too much noise", advice: "Go somewhere quieter, or use a headset." },
  silent: { title: "Nothing was heard", advice: "Check that the right microphone is chosen." },
};

/** `added`: to what is enrolled under the name, of which it may be another voice. */
export function refusal(
  code: string,
  message: string,
  added: boolean,
): { title: string; advice: string } {
  if (code === "several-voices") {
    // The server says which: two voices in this recording, or another one than in those before.
    const title = added ? "Not one voice" : "More than one voice";
    return { title, advice: sentence(message) };
  }
  const known: Record<string, Refusal> = REFUSALS;
  return known[code] ?? { title: "Not usable", advice: message };
}

/** A line of the event list: what happened, and why. */
export function noteWords(note: Note, claims: readonly string[]): { what: string; why: string } {
  switch (note.kind) {
    case "decision":
      return decisionWords(note.event as Decision, claims);
    case "change": {
      const change = note.event as Change;
      const from = change.from ? voiceName(change.from) : "";
      const who = change.to ? capital(voiceName(change.to)) : "Another voice";
      const later = Math.max(0, change.detected_at - change.at);
      const why = `Began at ${clock(change.at)}, noticed ${duration(later)} later`;
      // Whom the voice should be takes nothing over.
      const own = claims.length === 1 && change.to === claims[0];
      const did = own ? "speaks now" : "took over";
      return { what: `${who} ${did}${from && ` ${own ? "in place of" : "from"} ${from}`}`, why };
    }
    case "lag":
      return lagWords(note.event as Outage);
    default: {
      const { code, message } = note.event as { code: string; message: string };
      return { what: message || code, why: "" };
    }
  }
}

/** The server's words as a sentence. */
export function sentence(words: string): string {
  return `${words.charAt(0).toUpperCase()}${words.slice(1)}.`;
}

/** A label's words at the start of a line; a name is written as its owner writes it. */
function capital(words: string): string {
  return words.replace(/^an unknown voice \(/, "An unknown voice (");
}

function decisionWords(
  decision: Decision,
  claims: readonly string[],
): { what: string; why: string } {
  return { what: verdict(decision, claims), why: decision.advice ? sentence(decision.advice) : decision.reason };
}

function verdict(
  { state, speaker }: Pick<Decision, "state" | "speaker">,
  claims: readonly string[],
): string {
  return {
    insufficient: "Not enough speech",
    match: `Match – ${speaker ?? anyOf(claims)}`,
    mismatch: `Not ${anyOf(claims)}`,
    uncertain: "Unsure",
    unknown: "Unknown voice",
  }[state];
}

function lagWords(outage: Outage): { what: string; why: string } {
  const dropped = outage.dropped ? `${outage.dropped} dropped` : "";
  switch (outage.reason) {
    case "slow-consumer":
      return { what: "This page read too slowly: scores were left out", why: dropped };
    case "input-overflow":
      return { what: "The microphone lost sound", why: dropped };
    default: {
      const worst = `${duration(outage.worst_s)} at most`;
      const hop = outage.hop_s === null ? "" : `scores each ${outage.hop_s.toFixed(1)} s`;
      const why = [outage.over ? "on time again" : "", worst, hop, dropped].filter(Boolean).join(", ");
      if (!outage.over) return { what: `The server is ${duration(outage.behind_s)} behind`, why };
      return { what: `The server was behind for ${duration(outage.end - outage.start)}`, why };
    }
  }
}
