/** What can be said of a candidate, most in need of a person first: its word, colour and shape. */

import type { IconName } from "../icons";
import type { Incident } from "../incidents";
import { voiceName } from "../words";

export type Tone = "alert" | "other" | "unsure" | "off" | "match" | "waiting";
export type Shape = "octagon" | "square" | "diamond" | "triangle" | "circle";

export interface Look {
  /** A word or two, for the filter and for small tiles. */
  word: string;
  tone: Tone;
  shape: Shape;
  icon: IconName;
}

/** Incidents, in order of need. */
const INCIDENTS = {
  takeover: { word: "Taken over", tone: "alert", shape: "octagon", icon: "swap" },
  mismatch: { word: "Not the person", tone: "alert", shape: "square", icon: "cross" },
  tampering: { word: "Sound in doubt", tone: "unsure", shape: "triangle", icon: "alert" },
  "other-voice": { word: "Somebody else", tone: "other", shape: "square", icon: "people" },
  overlap: { word: "Two at once", tone: "other", shape: "diamond", icon: "overlap" },
  undecided: { word: "Undecided", tone: "unsure", shape: "diamond", icon: "question" },
  silent: { word: "Silent", tone: "unsure", shape: "triangle", icon: "mute" },
  noisy: { word: "Noisy", tone: "unsure", shape: "triangle", icon: "noise" },
  dropped: { word: "Connection lost", tone: "off", shape: "square", icon: "plug" },
} as const satisfies Record<string, Look>;

/** How a candidate stands while nothing has happened, in the order of their chips. */
const STANDINGS = {
  doubt: { word: "Not matching", tone: "unsure", shape: "circle", icon: "question" },
  stalled: { word: "No sound comes", tone: "off", shape: "circle", icon: "mute" },
  unsure: { word: "Unsure", tone: "waiting", shape: "circle", icon: "question" },
  listening: { word: "Listening", tone: "waiting", shape: "circle", icon: "ear" },
  fine: { word: "Fine", tone: "match", shape: "circle", icon: "check" },
  withdrawn: { word: "Took consent back", tone: "off", shape: "square", icon: "flag" },
  unopened: { word: "Link not opened", tone: "unsure", shape: "circle", icon: "person" },
  unenrolled: { word: "Not enrolled", tone: "unsure", shape: "circle", icon: "person" },
  absent: { word: "Not here yet", tone: "off", shape: "circle", icon: "person" },
  left: { word: "Ended", tone: "off", shape: "circle", icon: "flag" },
} as const satisfies Record<string, Look>;

export type Standing = keyof typeof STANDINGS;

const ORDER: readonly string[] = Object.keys(INCIDENTS);
const STANDING_ORDER: readonly string[] = Object.keys(STANDINGS);
const UNKNOWN: Look = { word: "", tone: "unsure", shape: "diamond", icon: "alert" };

/** 0 is most in need. A kind of a later server stands behind those that are known. */
export function urgency(kind: string): number {
  const found = ORDER.indexOf(kind);
  return found < 0 ? ORDER.length : found;
}

/** The place among all kinds: incidents by their urgency, and then how one stands. */
export function orderOf(kind: string): number {
  return urgency(kind) + STANDING_ORDER.indexOf(kind) + 1;
}

export function lookOf(kind: string): Look {
  const known: Record<string, Look> = { ...INCIDENTS, ...STANDINGS };
  return known[kind] ?? { ...UNKNOWN, word: kind };
}

/** What happened, as a line: "Another voice took over". `who`: those expected. */
export function titleOf(incident: Pick<Incident, "kind" | "voice" | "share">, who: string): string {
  switch (incident.kind) {
    case "takeover":
      return incident.voice && named(incident.voice)
        ? `${incident.voice} took over`
        : "Another voice took over";
    case "mismatch":
      return who ? `The voice is not ${who}` : "The voice is not the one expected";
    case "other-voice":
      return otherVoice(incident);
    case "overlap":
      return "Two voices at once";
    case "undecided":
      return "Undecided for too long";
    case "silent":
      return "Silent for too long";
    case "noisy":
      return "Too noisy to judge";
    case "tampering":
      return "The sound is in doubt";
    case "dropped":
      return "Connection lost";
    default:
      return lookOf(incident.kind).word;
  }
}

function otherVoice({ voice, share }: Pick<Incident, "voice" | "share">): string {
  const who = voice && named(voice) ? voice : "Somebody else";
  return share === null ? `${who} speaks` : `${who} (${Math.round(100 * share)}\u00a0%)`;
}

/** A name, and not the session's label of a voice. */
function named(voice: string): boolean {
  return voiceName(voice) === voice;
}
