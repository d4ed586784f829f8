/** A server that is not there: sockets that do what a test says. */

import { vi } from "vitest";
import { Voxwatch } from "../src/index.js";

/** A socket as the test wants it, and what was sent on it. */
export class FakeSocket {
  static all: FakeSocket[] = [];
  readyState = 0;
  bufferedAmount = 0;
  onopen: (() => void) | null = null;
  onmessage: ((event: { data: string }) => void) | null = null;
  onclose: ((event: { reason: string }) => void) | null = null;
  onerror: (() => void) | null = null;
  sent: (string | Uint8Array)[] = [];

  constructor(readonly url: string) {
    FakeSocket.all.push(this);
  }

  static get last(): FakeSocket {
    return FakeSocket.all.at(-1)!;
  }

  send(data: string | Uint8Array): void {
    this.sent.push(data);
  }

  close(): void {
    this.readyState = 3;
  }

  open(): void {
    this.readyState = 1;
    this.onopen?.();
  }

  say(message: object): void {
    this.onmessage?.({ data: JSON.stringify(message) });
  }

  break(): void {
    this.readyState = 3;
    this.onclose?.({ reason: "" });
  }

  get types(): unknown[] {
    return this.sent.map((one) => (typeof one === "string" ? JSON.parse(one).type : one.length));
  }
}

export function voxwatch(token?: ConstructorParameters<typeof Voxwatch>[0]["token"]): Voxwatch {
  const options = { url: "https://h.example/voice", WebSocket: FakeSocket };
  return new Voxwatch(token === undefined ? options : { ...options, token });
}

export async function settled(): Promise<void> {
  await vi.advanceTimersByTimeAsync(0);
}
