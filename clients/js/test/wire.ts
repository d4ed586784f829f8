/** The other end of a stream's connection, for the tests of its rules. */

import type { Action, Rules } from "../src/actions.js";
import { StreamConnection } from "../src/connection.js";
import { ready } from "./messages.js";

export const RATE = 1000; // samples a second: 2000 bytes

/** The server's side of a connection: what reached it. */
export class Wire {
  readonly connection: StreamConnection;
  texts: Record<string, unknown>[] = [];
  bytes: number[] = [];
  others: Action[] = [];
  made = 0;

  constructor(rules: Partial<Rules> = {}) {
    const start = { sample_rate: RATE, claim: ["Alice"] };
    this.connection = new StreamConnection(start, { random: () => 0, ...rules });
  }

  do(actions: Action[]): void {
    for (const action of actions) {
      if (action.do !== "send") this.others.push(action);
      else if (typeof action.data === "string") this.texts.push(JSON.parse(action.data));
      else this.bytes.push(...action.data);
    }
  }

  open(now: number): void {
    this.do(this.connection.connect(now));
    this.do(this.connection.opened(now));
  }

  ready(now: number, of: Parameters<typeof ready>[0] = {}): void {
    this.do(this.connection.received(JSON.stringify(ready(of)), now));
  }

  event(seq: number, now = 0, t = 0): void {
    const event = { type: "vad", seq, t, speech: true, at: 0 };
    this.do(this.connection.received(JSON.stringify(event), now));
  }

  error(code: string, now = 0): void {
    const error = { type: "error", seq: 0, t: 0, code, message: code };
    this.do(this.connection.received(JSON.stringify(error), now));
    this.do(this.connection.closed(now));
  }

  /** Sound of so many bytes, whose values count up. */
  sound(bytes: number, room = true): void {
    const piece = Uint8Array.from({ length: bytes }, (_, i) => (this.made + i) % 251);
    this.made += bytes;
    this.do(this.connection.sound(piece, room));
  }

  kinds(): string[] {
    return this.others.map((action) => action.do);
  }
}

export function counted(from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, i) => (from + i) % 251);
}
