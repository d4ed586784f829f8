/** The test of a microphone before an exam: first the noise of the room, then a sentence. Sans-IO. */

import type { Words } from "./words/en";

const QUIET_S = 3;
const SPOKEN_S = 2; // of sound above the noise: a sentence
const PATIENCE_S = 15; // for the sentence
const PIECE_S = 0.1;
const ABOVE_DB = 8; // speech is so far above the noise of the room, or
const LEAST_DBFS = -50; // at least so loud
const NOISY_DBFS = -38;
const CLEAR_DB = 15; // of speech above noise
const FAINT_DBFS = -42;
const CLIPPED = 32_600; // of 32767
const DEAD_DBFS = -85; // what no microphone that is on is as quiet as

export type Phase = "quiet" | "speak" | "done";

export interface Finding {
  good: boolean;
  what: keyof Words["trial"];
}

export class MicrophoneTrial {
  phase: Phase = "quiet";
  private readonly noise: number[] = []; // dBFS of each piece
  private readonly speech: number[] = [];
  private clipped = 0; // pieces
  private pieces = 0; // since the sentence was asked for

  /** Seconds that are left of the silence. */
  get left_s(): number {
    return Math.max(0, Math.ceil(QUIET_S - this.noise.length * PIECE_S));
  }

  /** A piece of 0.1 s; what is to be done after it. */
  hear(samples: Int16Array): Phase {
    const level = dbfs(samples);
    if (this.phase === "quiet") {
      this.noise.push(level);
      if (this.noise.length >= QUIET_S / PIECE_S) this.phase = "speak";
    } else if (this.phase === "speak") {
      this.listen(samples, level);
    }
    return this.phase;
  }

  private listen(samples: Int16Array, level: number): void {
    this.pieces += 1;
    if (level > Math.max(this.floor + ABOVE_DB, LEAST_DBFS)) {
      this.speech.push(level);
      if (samples.some((sample) => Math.abs(sample) >= CLIPPED)) this.clipped += 1;
    }
    const enough = this.speech.length >= SPOKEN_S / PIECE_S;
    if (enough || this.pieces >= PATIENCE_S / PIECE_S) this.phase = "done";
  }

  /** What was found, once it is done. */
  findings(): Finding[] {
    if (this.phase !== "done") return [];
    if (this.speech.length < SPOKEN_S / PIECE_S) return [this.nothing()];
    const level = median(this.speech);
    return [this.loudness(level), this.quietness(level)];
  }

  /** Whether everything is as it should be. */
  get good(): boolean {
    return this.phase === "done" && this.findings().every(({ good }) => good);
  }

  private get floor(): number {
    return median(this.noise);
  }

  /** Where the room is loud, or somebody spoke in the silence too, a voice may be there and drown. */
  private nothing(): Finding {
    if (this.floor > NOISY_DBFS) return { good: false, what: "noisy" };
    return { good: false, what: this.floor < DEAD_DBFS ? "dead" : "nothing" };
  }

  private loudness(level: number): Finding {
    if (this.clipped > this.speech.length / 10) return { good: false, what: "loud" };
    if (level < FAINT_DBFS) return { good: false, what: "faint" };
    return { good: true, what: "loudEnough" };
  }

  private quietness(level: number): Finding {
    const noisy = this.floor > NOISY_DBFS || level - this.floor < CLEAR_DB;
    return noisy ? { good: false, what: "noisy" } : { good: true, what: "quietEnough" };
  }
}

/** Power below full scale. */
export function dbfs(samples: Int16Array): number {
  let sum = 0;
  for (const sample of samples) sum += sample * sample;
  const power = sum / Math.max(1, samples.length) / 32768 ** 2;
  return 10 * Math.log10(Math.max(power, 1e-10));
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? -100;
}
