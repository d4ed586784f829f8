/** Whether a candidate is heard, and if not, what is wrong, in words. No I/O. */

import type { Fault, Phase, Quality } from "voxwatch-client";
import { duration, faultWords, problemWords } from "../words";

// Nothing but zeros for so long is no pause: a room is never so quiet.
const DEAD_S = 5;
const PIECE_S = 0.1;
const DEAD_PEAK = 2; // of 32767

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
  fault: Fault | null;
  dead: boolean;
  online: boolean;
  /** Sound that waits to be sent. */
  unsent_s: number;
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
export function hearing(now: Situation): Hearing {
  if (now.fault) {
    const { title, advice } = faultWords(now.fault);
    return { tone: "problem", icon: "mute", title, text: `${advice} Until then you are not heard.` };
  }
  if (now.dead) {
    return {
      tone: "problem",
      icon: "mute",
      title: "Your microphone is silent",
      text: "Sound comes, but nothing is in it: is it muted by a switch or at its cable? Or choose another one below. Until then you are not heard.",
    };
  }
  if (now.phase === "live") return heard(now);
  if (now.phase === "connecting" && now.online && now.unsent_s < 3) {
    return { tone: "waiting", icon: "clock", title: "Connecting", text: "One moment." };
  }
  return away(now);
}

function heard(now: Situation): Hearing {
  if (now.unsent_s > 3) {
    const text = `Your network is slow: ${duration(now.unsent_s)} of sound are still to be sent. Stay here.`;
    return { tone: "heard", icon: "ear", title: "You are being heard, a little late", text };
  }
  return {
    tone: "heard",
    icon: "ear",
    title: "You are being heard",
    text: "Nothing more is to be done here. Good luck.",
  };
}

function away(now: Situation): Hearing {
  const kept =
    now.unsent_s >= 1
      ? `${duration(now.unsent_s)} of your sound are kept and sent when it is back.`
      : "It goes on by itself.";
  const title = now.online ? "The server cannot be reached" : "You are offline";
  const text = `Trying again. ${kept} Stay on this page; if it lasts, tell your examiners.`;
  return { tone: "problem", icon: "plug", title, text };
}

/** What would help the sound; empty while it is good. Silence is no fault of somebody who writes. */
export function soundWords(quality: Quality | null): string {
  const known = (quality?.problems ?? []).filter((problem) => problem !== "no-speech");
  return known.map((problem) => problemWords(problem).advice).join(" ");
}

/** Why it cannot go on; null where trying again may help. */
export function ending(code: string): { title: string; text: string } | null {
  switch (code) {
    case "taken-over":
      return {
        title: "This exam was opened elsewhere",
        text: "Your link was opened in another tab or on another device, which is heard instead of this one. You may go on here: the other then ends.",
      };
    case "consent-withdrawn":
      return { title: "You took your consent back", text: "Nothing is heard or compared any more." };
    case "unauthorised":
      return {
        title: "Your link holds no more",
        text: "It has expired or was replaced by another. Ask your examiners for a new one.",
      };
    default:
      return null;
  }
}
