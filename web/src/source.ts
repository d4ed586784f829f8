/** Where sound and events come from: one's own microphone, or a stream that is watched. */

import type { Link } from "./headline";
import type { View } from "./view";
import type { Waveform } from "./waveform";

/** How sound and answers travel. */
export interface Transport {
  /** Newest sound less the last score's, in seconds; null until there is a score. */
  latency_s: number | null;
  unsent_s: number;
  lost_s: number;
  reconnects: number;
  restarts: number;
  sampleRate: number | null;
}

export interface Source {
  readonly kind: "microphone" | "watch";
  readonly view: View;
  readonly waveform: Waveform;
  /** The highest peak of the moment, 0..127. */
  readonly peak: number;
  readonly transport: Transport;
  link(now: number): Link;
  /** The server is known to be back: do not wait for the next try. */
  hurry(): void;
  /** End it; what it said stays on the page. */
  stop(): void;
  /** Nothing more is wanted of it. */
  leave(): void;
}
