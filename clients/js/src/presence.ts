/** Whether the server at the other end of a stream is still there. Sans-IO; times in seconds. */

import type { Outgoing } from "./outgoing.js";

// `quality` comes each 2 s of sound: a server that says nothing to so much sound, or for so long
// after the end of it, is gone. An interrupted microphone is no reason to leave it.
export const SILENCE_S = 15;
const DUE_S = 3; // sound to which the server has something to say
const KEEPALIVE_S = 10; // a server ends a connection after a minute of nothing

export class Presence {
  private busySince = 0; // something was asked for, or the last message came
  private answered = 0; // bytes made when the server last said something
  private fed = 0; // bytes made at the last look with new sound
  private fedAt = 0; // when that was, or a keepalive was due

  constructor(
    private readonly outgoing: Outgoing,
    private readonly lossless: boolean,
  ) {}

  /** Seconds of sound made since the server last said something. */
  get unanswered_s(): number {
    return this.outgoing.seconds(Math.max(0, this.outgoing.made - this.answered));
  }

  /** The server was asked for something that it will answer. */
  waitsFrom(now: number): void {
    this.busySince = now;
  }

  /** The server said something. */
  heard(now: number): void {
    this.busySince = now;
    this.answered = this.outgoing.made;
  }

  /** A session begins: what was made before it needs no answer. */
  restart(): void {
    this.answered = this.fed = this.outgoing.made;
  }

  /** Sound was let go, which no server will answer. */
  trimmed(): void {
    this.answered = Math.min(this.answered, this.outgoing.made);
  }

  /** Whether what was asked for is not answered within `patience_s`; then it is waited for anew. */
  isLate(now: number, patience_s: number): boolean {
    if (now - this.busySince <= patience_s) return false;
    this.busySince = now;
    return true;
  }

  /** Of a session that goes on: "unfed" where it gets no sound and has to be told so. */
  look(now: number): "there" | "unfed" | "gone" {
    const { made } = this.outgoing;
    if (made !== this.fed) {
      this.fed = made;
      this.fedAt = now;
    }
    if (this.isSilent(now)) {
      this.heard(now); // the next connection is not held to what this one did not answer
      return "gone";
    }
    if (now - this.fedAt < KEEPALIVE_S) return "there";
    this.fedAt = now;
    return "unfed";
  }

  private isSilent(now: number): boolean {
    // Sound that is pushed faster than it is spoken is answered as fast as the server can.
    if (this.lossless) {
      return now - this.busySince > SILENCE_S && this.outgoing.underWay_s > DUE_S;
    }
    return this.unanswered_s > SILENCE_S;
  }
}
