/**
 * What a stream has to send: sound, and controls at their places in it. Sans-IO.
 *
 * Sound is kept for 30 s whether or not it was sent, because only a new connection's `ready`
 * says how much of it the server took.
 */

import { Backlog } from "./backlog.js";
import { Controls, type Control } from "./controls.js";
import { SAMPLE_BYTES, type StartStream } from "./messages.js";

export const KEEP_S = 30;
// Of lossless sound so much is under way, not known to be taken: what can be sent again is held.
const WINDOW_S = 10;
const OPUS_BYTES_PER_S = 16_000; // 128 kbit/s: more than a browser makes of speech

export type Format = Pick<StartStream, "encoding" | "channels"> & { sample_rate: number };
export type Piece = Control | Uint8Array<ArrayBuffer>;

/** Sound that was never sent and is no longer held; it lay `ago_s` before now. */
export interface Lost {
  lost_s: number;
  ago_s: number;
}

export class Outgoing {
  /** Bytes that the server is known to have. */
  private taken = 0;
  private readonly backlog = new Backlog();
  private readonly controls = new Controls();

  /** `lossless`: none may be let go, so that whoever makes it waits for `room`. */
  constructor(
    private format: Format,
    private readonly lossless: boolean,
  ) {}

  /** Whether the sound is a container, of whose bytes a time says nothing. */
  get isContainer(): boolean {
    return this.format.encoding === "opus";
  }

  /** Bytes of this session made so far. */
  get made(): number {
    return this.backlog.made;
  }

  get allSent(): boolean {
    return this.backlog.unsent === 0;
  }

  /** Seconds of sound that no socket has been given. */
  get unsent_s(): number {
    return this.seconds(this.backlog.unsent);
  }

  /** Seconds of sound that was sent and is not known to be taken. */
  get underWay_s(): number {
    return this.seconds(this.backlog.sent - this.taken);
  }

  /** Seconds of sound that is held and not known to be taken, whether or not it was sent. */
  get kept_s(): number {
    return Math.min(KEEP_S, this.seconds(this.backlog.made - this.taken));
  }

  /** Bytes of sound that can be added without letting any go. */
  get room(): number {
    return Math.max(0, KEEP_S * this.bytesPerSecond - (this.backlog.made - this.taken));
  }

  seconds(bytes: number): number {
    return bytes / this.bytesPerSecond;
  }

  add(bytes: Uint8Array<ArrayBuffer>): Lost | null {
    this.backlog.add(bytes);
    return this.trim();
  }

  /** Something that holds for the sound from here on. */
  ask(control: Control): void {
    this.controls.add(this.backlog.made, control);
  }

  /** What is to be sent now, in order; it counts as sent. */
  take(): Piece[] {
    const { backlog, controls } = this;
    const window = this.lossless ? this.taken + WINDOW_S * this.bytesPerSecond : Infinity;
    const pieces: Piece[] = [];
    for (;;) {
      const control = controls.take(backlog.sent);
      const sound = control ? [] : backlog.take(Math.min(controls.nextPlace, window));
      if (control) pieces.push(control);
      else if (sound.length === 0) return pieces;
      pieces.push(...sound);
    }
  }

  /** The server has the sound until this media time. */
  hasTaken(until_s: number): void {
    if (this.isContainer) return;
    const samples = Math.floor(Math.max(0, until_s) * this.format.sample_rate);
    this.hasTakenBytes(samples * this.frame);
  }

  hasTakenBytes(count: number): void {
    this.taken = Math.max(this.taken, Math.min(count, this.backlog.sent));
    this.controls.taken(this.taken);
  }

  /** A connection was made, whose server has `received` bytes: go on from there. */
  resume(received: number): Lost | null {
    const { backlog, controls } = this;
    backlog.sent = Math.min(received, backlog.made);
    this.taken = Math.max(this.taken, backlog.sent);
    controls.connected();
    controls.taken(backlog.sent);
    return this.trim();
  }

  /** A session begins with what no session was given, or, lossless, is not known to have had. */
  restart(): void {
    const { backlog } = this;
    const before = backlog.made;
    const kept = backlog.restart(this.lossless ? this.taken : backlog.sent);
    this.controls.restart(before - kept);
    this.taken = 0;
  }

  /** What was made is of no use any more: the sound goes on at another rate. */
  retune(sample_rate: number): void {
    this.format = { ...this.format, sample_rate };
    this.controls.restart(this.backlog.made);
    this.backlog.clear();
    this.taken = 0;
  }

  /** Forget the oldest sound past 30 s. What was never sent is lost, and that is told. */
  private trim(): Lost | null {
    const { lost, ago } = this.backlog.trim(KEEP_S * this.bytesPerSecond);
    if (lost === 0) return null;
    this.controls.lost(this.backlog.sent, lost);
    return { lost_s: this.seconds(lost), ago_s: this.seconds(ago) };
  }

  /** Bytes of a sample of all channels. */
  private get frame(): number {
    const { encoding = "pcm_s16le", channels = 1 } = this.format;
    return encoding === "opus" ? 1 : SAMPLE_BYTES[encoding]! * channels;
  }

  private get bytesPerSecond(): number {
    return this.isContainer ? OPUS_BYTES_PER_S : this.frame * this.format.sample_rate;
  }
}
