/** Whether a candidate is heard, and if not, what is wrong, in words. No I/O. */

import type { Fault, Phase, Quality } from "voxwatch-client";
import { amount, fill, type Say } from "./language";
import type { Words } from "./words/en";

// Nothing but zeros for so long is no pause: a room is never so quiet.
const DEAD_S = 5;
const PIECE_S = 0.1;
const DEAD_PEAK = 2; // of 32767
// The server says something to each 2 s of sound. A network that swallows all tells nobody of it.
const UNANSWERED_S = 6;

/** Notices a microphone that gives sound without anything in it. */
export class Deadness {
  private pieces = 0;

  /** A piece of 0.1 s. */
  hear(samples: Int16Array): void {
    const alive = samples.some((sample) => Math.abs(sample) > DEAD_PEAK);
    this.pieces = alive ? 0 : this.pieces + 1;
  }

  get dead(): boolean {
    return this.pieces * PIECE_S >= DEAD_S;
  }

  forget(): void {
    this.pieces = 0;
  }
}

export interface Situation {
  phase: Phase;
  /** Tries to connect that have failed since the server was last there. */
  tries: number;
  fault: Fault | null;
  dead: boolean;
  online: boolean;
  /** Sound that waits to be sent. */
  unsent_s: number;
  /** Sound that is sent again when the server is back, also what was sent into the void. */
  kept_s: number;
  /** Sound since the server last said something. */
  unanswered_s: number;
  lost_s: number;
  quality: Quality | null;
}

export interface Hearing {
  tone: "heard" | "waiting" | "problem";
  icon: "ear" | "clock" | "mute" | "plug";
  title: string;
  text: string;
}

/** The one thing that is to be said: a microphone that is off comes before a network that is away. */
export function hearing(now: Situation, w: Words): Hearing {
  const { heard } = w;
  if (now.fault) {
    const text = `${w.faultAdvice[now.fault]} ${heard.untilThen}`;
    return { tone: "problem", icon: "mute", title: w.faultTitle[now.fault], text };
  }
  if (now.dead) {
    const text = `${heard.deadText} ${heard.untilThen}`;
    return { tone: "problem", icon: "mute", title: heard.deadTitle, text };
  }
  if (now.phase === "live" && now.unanswered_s < UNANSWERED_S) return live(now, w);
  if (now.phase === "connecting" && now.online && (now.tries === 0 || now.unsent_s < 3)) {
    return { tone: "waiting", icon: "clock", title: heard.connectingTitle, text: heard.connectingText };
  }
  return away(now, w);
}

function live(now: Situation, { heard }: Words): Hearing {
  if (now.unsent_s > 3) {
    const text = fill(heard.lateText, { time: amount(now.unsent_s) });
    return { tone: "heard", icon: "ear", title: heard.lateTitle, text };
  }
  return { tone: "heard", icon: "ear", title: heard.title, text: heard.text };
}

function away(now: Situation, { heard }: Words): Hearing {
  const kept = now.kept_s >= 1 ? fill(heard.kept, { time: amount(now.kept_s) }) : heard.byItself;
  const title = now.online ? heard.awayTitle : heard.offlineTitle;
  return { tone: "problem", icon: "plug", title, text: fill(heard.awayText, { kept }) };
}

/** What would help the sound, as far as there are words: a later server may know more problems. */
export function problemsWords(w: Words, problems: readonly string[]): string {
  const advice: Record<string, string> = w.problem;
  return problems.map((problem) => advice[problem] ?? "").filter(Boolean).join(" ");
}

/** What would help the sound; empty while it is good. Silence is no fault of somebody who writes. */
export function soundWords(quality: Quality | null, w: Words): string {
  return problemsWords(w, (quality?.problems ?? []).filter((problem) => problem !== "no-speech"));
}

/** Why it cannot go on; null where trying again may help. */
export function ending(code: string): { title: Say; text: Say } | null {
  switch (code) {
    case "taken-over":
      return { title: (w) => w.notice.takenTitle, text: (w) => w.notice.takenText };
    case "unauthorised":
    case "link-expired":
      return { title: (w) => w.notice.expiredTitle, text: (w) => w.notice.expiredText };
    default:
      return null;
  }
}
