/** What a stream's connection may be in, may do, and keeps to. */

import type { StartStream, StreamMessage } from "./messages.js";
import type { Lost } from "./outgoing.js";

export type Phase =
  | "idle"
  | "connecting"
  | "live" // after `ready`
  | "waiting" // to try again
  | "finishing" // no more sound comes; the server answers what it has
  | "ended"
  | "failed"; // trying again would not help

/** Why a session begins: the first; the server no longer had the last; the sound has another rate. */
export type Why = "first" | "gone" | "rate";

export type Action =
  | { do: "open" }
  | { do: "send"; data: string | Uint8Array<ArrayBuffer> }
  | { do: "close" }
  | { do: "deliver"; message: StreamMessage }
  /** A session begins: media time 0 is `kept_s` before now. */
  | { do: "begin"; kept_s: number; why: Why }
  | ({ do: "lost" } & Lost);

export type Start = StartStream & { sample_rate: number };

export interface Rules {
  /** No sound may be lost: who makes it waits for `room`. Otherwise the oldest is let go. */
  lossless: boolean;
  /** How long no connection can be made until it has failed. */
  patience_s: number;
  /** Of 0 to 1, for the jitter of tries. */
  random: () => number;
}
