/** The decoder of messages: the defaults are filled in, what is not known is passed on. */

import { ServerError } from "./errors.js";
import {
  DEFAULTS,
  KINDS,
  type EnrollMessage,
  type MonitorMessage,
  type StreamMessage,
  type StreamState,
  type Unknown,
} from "./messages.js";

/** Anything that a server says on a connection that is no control connection. */
export type Message = StreamMessage | EnrollMessage | MonitorMessage;

type Fields = Record<string, unknown>;

const BASE = { seq: 0, t: 0 };
const OF_ANY = ["seq", "t", "at_time", "stream"]; // fields that a message of any kind may have
// Each kind of connection says `ready`. What follows is what servers before 0.4 did not say.
const READY = { expected_rates: [], received_bytes: 0, resumed: false };
const STREAM: Omit<StreamState, "stream" | "bounds" | "model"> = {
  label: "",
  mode: "verify",
  claims: [],
  expected_rates: [],
  state: null,
  speaker: null,
  since: null,
  speaking: false,
  stalled: false,
  speech_s: 0,
  window_s: 0,
  hop_s: 0.5,
  decide_s: 1.5,
  received_s: 0,
  opened_at: 0,
  exam: null,
  candidate: null,
  accommodations: [],
  link_expires_at: null,
};

/**
 * One text frame of a connection whose messages are `M`. Throws a `ServerError` for what is no
 * message.
 */
export function decode<M extends { type: string }>(text: string): M | Unknown {
  const fields = parsed(text);
  if (!isFields(fields) || typeof fields.type !== "string") {
    const message = "the server's message is no object with a type: is it voxwatch?";
    throw new ServerError("bad-message", message);
  }
  const { type } = fields;
  if (!KINDS.has(type)) return unknown(type, fields);
  const defaults = type === "ready" ? READY : DEFAULTS[type];
  const message: Fields = { ...BASE, ...defaults, ...fields };
  if (type === "ready" && "streams" in fields) message.streams = streamStates(fields.streams);
  return message as unknown as M;
}

/** Streams as a monitor or the control connection lists them, or as one is told to have opened. */
export function streamStates(rows: unknown): StreamState[] {
  if (!Array.isArray(rows)) return [];
  return rows.filter(isFields).map((row) => ({ ...STREAM, ...row }) as unknown as StreamState);
}

function unknown(kind: string, fields: Fields): Unknown {
  const known = Object.entries(fields).filter(([name]) => OF_ANY.includes(name));
  return { ...BASE, ...Object.fromEntries(known), type: "unknown", kind, fields };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    throw new ServerError("bad-message", "the server does not speak JSON: is it voxwatch?");
  }
}

function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
