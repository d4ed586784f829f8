/** The decoder of messages. What a server does not say is filled in, so that no view asks twice. */

import type {
  Bounds,
  ExpectedRate,
  Message,
  Mode,
  Model,
  State,
  StreamEntry,
} from "./wire";

const KNOWN: ReadonlySet<string> = new Set<Message["type"]>([
  "ready",
  "vad",
  "stalled",
  "score",
  "decision",
  "change",
  "utterance",
  "overlap",
  "quality",
  "lag",
  "error",
  "summary",
  "configured",
  "opened",
  "closed",
  "level",
  "progress",
  "enrolled",
  "refused",
  "incident",
  "act",
]);

type Fields = Record<string, unknown>;

function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** One text frame; null for a type of a later version, which a client of this one passes over. */
export function decode(text: string): Message | null {
  const fields: unknown = JSON.parse(text);
  if (!isFields(fields) || typeof fields.type !== "string") {
    throw new TypeError("a server message is an object with a type");
  }
  if (!KNOWN.has(fields.type)) return null;
  const message = { seq: 0, t: 0, ...fields };
  return (fields.type === "ready" ? completeReady(message) : message) as unknown as Message;
}

function completeReady(fields: Fields): Fields {
  const defaults = {
    session: "",
    stream: "",
    server: "",
    model: null,
    mode: "verify",
    claims: [],
    window_s: 3,
    hop_s: 0.5,
    first_s: 1,
    decide_s: 1.5,
    bounds: null,
    expected_rates: [],
    received_bytes: 0,
    resumed: false,
    needed_s: 20,
    min_s: 10,
  };
  return { ...defaults, ...fields, streams: streamEntries(fields.streams) };
}

/** Live streams as a monitor or the control connection lists them. */
export function streamEntries(value: unknown): StreamEntry[] {
  const rows = Array.isArray(value) ? value.filter(isFields) : [];
  return rows.map((row) => ({
    stream: String(row.stream ?? ""),
    label: String(row.label ?? ""),
    mode: (row.mode ?? "verify") as Mode,
    claims: Array.isArray(row.claims) ? row.claims.map(String) : [],
    state: (row.state ?? null) as State | null,
    speaker: typeof row.speaker === "string" ? row.speaker : null,
    since: typeof row.since === "number" ? row.since : null,
    speaking: row.speaking === true,
    stalled: row.stalled === true,
    speech_s: numberOr(row.speech_s, 0),
    window_s: numberOr(row.window_s, 0),
    hop_s: numberOr(row.hop_s, 0.5),
    decide_s: numberOr(row.decide_s, 1.5),
    received_s: numberOr(row.received_s, 0),
    expected_rates: (Array.isArray(row.expected_rates) ? row.expected_rates : []) as ExpectedRate[],
    bounds: isFields(row.bounds) ? (row.bounds as unknown as Bounds) : null,
    model: isFields(row.model) ? (row.model as unknown as Model) : null,
    opened_at: numberOr(row.opened_at, 0),
    exam: typeof row.exam === "string" ? row.exam : null,
    candidate: typeof row.candidate === "string" ? row.candidate : null,
    accommodations: Array.isArray(row.accommodations) ? row.accommodations.map(String) : [],
  }));
}

function numberOr(value: unknown, otherwise: number): number {
  return typeof value === "number" ? value : otherwise;
}
