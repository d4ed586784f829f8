/** Peaks of the last minutes of sound, a ring of bytes: one peak (0..127) each 20 ms. */

export const STEP_S = 0.02;

export class Waveform {
  private readonly ring: Uint8Array;
  /** Steps since media time 0, those no longer held included. */
  private count = 0;
  /** First step that was ever given: a stream may be watched from its middle. */
  private first = 0;

  constructor(seconds = 300) {
    this.ring = new Uint8Array(Math.round(seconds / STEP_S));
  }

  /** Media time of the end, in seconds. */
  get end_s(): number {
    return this.count * STEP_S;
  }

  push(peaks: Iterable<number>): void {
    for (const peak of peaks) {
      this.ring[this.count % this.ring.length] = peak;
      this.count += 1;
    }
  }

  /** Peaks whose last ends at `t`. What was missed is drawn as silence, what is known is skipped. */
  pushUntil(t: number, peaks: readonly number[]): void {
    const end = Math.round(t / STEP_S);
    const start = end - peaks.length;
    if (this.count === 0) this.first = this.count = Math.max(0, start);
    const missed = Math.min(start - this.count, this.ring.length);
    if (missed > 0) {
      this.count = start - missed;
      this.push(new Uint8Array(missed));
    }
    this.push(peaks.slice(Math.max(0, this.count - start)));
  }

  /** The highest peak between two media times; null where nothing is held. */
  peak(from_s: number, to_s: number): number | null {
    const oldest = Math.max(this.first, this.count - this.ring.length);
    const first = Math.floor(from_s / STEP_S + 1e-6); // a step's own start is not below it
    const last = Math.max(Math.ceil(to_s / STEP_S - 1e-6), first + 1);
    const from = Math.max(first, oldest);
    const to = Math.min(last, this.count);
    if (from >= to) return null;
    let highest = 0;
    for (let step = from; step < to; step += 1) {
      highest = Math.max(highest, this.ring[step % this.ring.length] ?? 0);
    }
    return highest;
  }

  /** Media time begins again at 0 with the last `keep_s` seconds. */
  restart(keep_s: number): void {
    const keep = Math.min(Math.round(keep_s / STEP_S), this.count - this.first, this.ring.length);
    const kept = Array.from(
      { length: keep },
      (_, i) => this.ring[(this.count - keep + i) % this.ring.length] ?? 0,
    );
    this.count = this.first = 0;
    this.push(kept);
  }

  /** Sound of `lost_s` that ended `ago_s` before the end never reached the server: forget it. */
  cut(ago_s: number, lost_s: number): void {
    const after = Math.min(Math.round(ago_s / STEP_S), this.count);
    const tail = Array.from(
      { length: after },
      (_, i) => this.ring[(this.count - after + i) % this.ring.length] ?? 0,
    );
    this.count = Math.max(this.first, this.count - after - Math.round(lost_s / STEP_S));
    this.push(tail);
  }
}

/** Peak (0..127) of each `step` samples; a rest shorter than that is its own piece. */
export function peaksOf(samples: Int16Array, step: number): number[] {
  const peaks: number[] = [];
  for (let start = 0; start < samples.length; start += step) {
    let highest = 0;
    for (const sample of samples.subarray(start, start + step)) {
      highest = Math.max(highest, Math.abs(sample));
    }
    peaks.push(Math.min(127, highest >> 8));
  }
  return peaks;
}
