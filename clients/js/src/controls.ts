/** What is asked for while a stream runs, and where in the sound. Sans-IO. */

import type { Configure, Mute, Reset, Turn } from "./messages.js";

export type Control = Configure | Turn | Reset | Mute;

interface Asked {
  /** Bytes of the session before it. */
  place: number;
  control: Control;
}

/**
 * Controls that the server is not known to have taken, in order.
 *
 * Each is sent when the sound before its place has gone out, and sent again on a new connection
 * unless the server has taken sound that came after it: none of them does anything by being said
 * twice at one place. Of each kind one is held at a place, so that they are bounded by the sound.
 */
export class Controls {
  private asked: Asked[] = [];
  private told = 0; // how many of them this connection has been told
  private muted = false; // by those that were let go of

  /** Where the next one that is to be sent belongs. */
  get nextPlace(): number {
    return this.asked[this.told]?.place ?? Infinity;
  }

  /** Ask for something from `place` on, which is not before the places of those before. */
  add(place: number, control: Control): void {
    const same = this.asked.findIndex(
      (one) => one.place === place && one.control.type === control.type,
    );
    const earlier = same < 0 ? {} : this.asked[same]!.control;
    if (same >= 0) {
      this.asked.splice(same, 1);
      if (same < this.told) this.told -= 1;
    }
    this.asked.push({ place, control: { ...earlier, ...control } });
  }

  /** The next one to send on this connection, which has been sent the sound to `place`. */
  take(place: number): Control | null {
    if (this.nextPlace > place) return null;
    this.told += 1;
    return this.asked[this.told - 1]!.control;
  }

  /** The server has the sound before `place`, and with it what was asked before that. */
  taken(place: number): void {
    while (this.asked[0] && this.asked[0].place < place) {
      const { control } = this.asked.shift()!;
      if (control.type === "mute") this.muted = control.on;
      this.told = Math.max(0, this.told - 1);
    }
  }

  /** Note a new connection, which has been told nothing. */
  connected(): void {
    this.told = 0;
  }

  /** `count` bytes from `place` on will never be sent. */
  lost(place: number, count: number): void {
    const before = this.asked;
    const { told } = this;
    this.asked = [];
    this.told = 0;
    before.forEach((one, i) => {
      const moved = one.place <= place ? one.place : Math.max(place, one.place - count);
      this.add(moved, one.control);
      if (i < told) this.told = this.asked.length;
    });
  }

  /** A new session begins at what was `place`: what held there is to be said again. */
  restart(place: number): void {
    this.taken(place);
    this.asked = this.asked.map((one) => ({ ...one, place: one.place - place }));
    this.told = 0;
    if (this.muted) this.asked.unshift({ place: 0, control: { type: "mute", on: true } });
    this.muted = false;
  }
}
