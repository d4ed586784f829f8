/** The sockets: one's own stream, a watched one, an enrolment. Thin; the rules are elsewhere. */

import { StreamConnection, waitBefore, type Action, type Start, type Why } from "./connection";
import { decode } from "./decode";
import type { Failure, Message } from "./wire";

/** Makes the address of a socket; asks for a single-use token first where one is needed. */
export type Address = () => Promise<string>;

const TICK_MS = 250;
// More than this waits in the browser: the network is slower than the sound.
const FULL_BYTES = 1 << 18;

export interface StreamListener {
  message(message: Message): void;
  begin(kept_s: number, why: Why): void;
  lost(lost_s: number, ago_s: number): void;
  /** The phase may be another. */
  moved(): void;
}

/** One's own stream, over as many connections as it takes. */
export class OwnStream {
  readonly connection: StreamConnection;
  private socket: WebSocket | null = null;
  private attempt = 0;
  private readonly timer: number;
  private readonly online = (): void => this.hurry();

  constructor(
    start: Start,
    private readonly address: Address,
    private readonly listener: StreamListener,
  ) {
    this.connection = new StreamConnection(start);
    this.timer = window.setInterval(() => this.run(this.connection.tick(now())), TICK_MS);
    window.addEventListener("online", this.online);
    this.run(this.connection.connect(now()));
  }

  sound(samples: Int16Array<ArrayBuffer>): void {
    const room = (this.socket?.bufferedAmount ?? 0) < FULL_BYTES;
    this.run(this.connection.sound(new Uint8Array(samples.buffer), room));
  }

  /** The server is known to be back: do not wait for the next try. */
  hurry(): void {
    this.run(this.connection.hurry(now()));
  }

  configure(change: { claim?: string[]; false_accept?: number }): void {
    this.run(this.connection.configure(change));
  }

  retune(sample_rate: number): void {
    this.run(this.connection.retune(sample_rate));
  }

  finish(): void {
    this.run(this.connection.finish(now()));
  }

  /** Leave at once, and hear nothing more. */
  abandon(): void {
    window.clearInterval(this.timer);
    window.removeEventListener("online", this.online);
    this.attempt += 1;
    this.socket?.close();
    this.socket = null;
  }

  private run(actions: Action[]): void {
    for (const action of actions) this.perform(action);
    this.listener.moved();
  }

  private perform(action: Action): void {
    switch (action.do) {
      case "open":
        void this.open();
        return;
      case "send":
        if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(action.data);
        return;
      case "close":
        this.drop();
        return;
      case "deliver":
        this.listener.message(action.message);
        return;
      case "begin":
        this.listener.begin(action.kept_s, action.why);
        return;
      case "lost":
        this.listener.lost(action.lost_s, action.ago_s);
    }
  }

  private async open(): Promise<void> {
    this.attempt += 1;
    const attempt = this.attempt;
    const current = (): boolean => attempt === this.attempt;
    let url: string;
    try {
      url = await this.address();
    } catch {
      if (current()) this.run(this.connection.closed(now()));
      return;
    }
    if (!current()) return;
    const socket = new WebSocket(url);
    this.socket = socket;
    socket.onopen = () => current() && this.run(this.connection.opened(now()));
    socket.onmessage = (event) =>
      current() && this.run(this.connection.received(String(event.data), now()));
    socket.onclose = () => current() && this.drop();
  }

  /** The connection is over, or is not waited for: a dead one may take minutes to close. */
  private drop(): void {
    this.attempt += 1;
    this.socket?.close();
    this.socket = null;
    this.run(this.connection.closed(now()));
  }
}

export interface WatchListener {
  message(message: Message): void;
  moved(): void;
}

/** A monitor's connection, which is made again until it is left. */
export class Watch {
  phase: "connecting" | "live" | "waiting" = "connecting";
  retryAt = 0;
  reconnects = 0;
  private socket: WebSocket | null = null;
  tries = 0;
  private left = false;
  private ever = false;
  private timer = 0;

  constructor(
    private readonly address: Address,
    private readonly listener: WatchListener,
  ) {
    void this.open();
  }

  /** The server is known to be back: do not wait for the next try. */
  hurry(): void {
    if (this.left || this.phase !== "waiting") return;
    window.clearTimeout(this.timer);
    void this.open();
  }

  leave(): void {
    this.left = true;
    window.clearTimeout(this.timer);
    this.socket?.close();
  }

  private async open(): Promise<void> {
    if (this.left) return;
    this.phase = "connecting";
    let url: string;
    try {
      url = await this.address();
    } catch {
      this.closed();
      return;
    }
    if (this.left) return;
    const socket = new WebSocket(url);
    this.socket = socket;
    socket.onmessage = (event) => !this.left && this.heard(String(event.data));
    socket.onclose = () => this.closed();
    this.listener.moved();
  }

  private heard(text: string): void {
    const message = decode(text);
    if (!message) return;
    if (message.type === "ready") {
      this.phase = "live";
      this.tries = 0;
      if (this.ever) this.reconnects += 1;
      this.ever = true;
    }
    this.listener.message(message);
    this.listener.moved();
  }

  private closed(): void {
    if (this.left) return;
    this.phase = "waiting";
    const wait = waitBefore(this.tries, Math.random());
    this.tries += 1;
    this.retryAt = now() + wait;
    this.timer = window.setTimeout(() => void this.open(), 1000 * wait);
    this.listener.moved();
  }
}

export interface EnrolmentStart {
  name: string;
  text_version: string;
  /** Of the wording that was agreed to, where it may be another. */
  text_sha256?: string;
  ttl_days: number | null;
  add: boolean;
  sample_rate: number;
}

export interface EnrolmentListener {
  message(message: Message): void;
  /** Closed before a result; `error` says why where the server did. */
  broken(error: Failure | null): void;
}

/** One enrolment: a dropped connection ends it, because half a voiceprint is none. */
export class EnrolmentStream {
  private socket: WebSocket | null = null;
  private over = false;
  private ready = false;
  private finished = false;
  private waiting: Int16Array<ArrayBuffer>[] = []; // bounded by the time a connection takes
  private error: Failure | null = null;

  constructor(
    private readonly start: EnrolmentStart,
    private readonly address: Address,
    private readonly listener: EnrolmentListener,
  ) {
    void this.open();
  }

  sound(samples: Int16Array<ArrayBuffer>): void {
    if (this.over || this.finished) return;
    if (this.ready) this.socket?.send(samples);
    else if (this.waiting.length < 100) this.waiting.push(samples);
  }

  finish(): void {
    if (!this.ready || this.over || this.finished) return;
    this.finished = true;
    this.socket?.send(JSON.stringify({ type: "finalize" }));
  }

  abandon(): void {
    this.over = true;
    this.socket?.close();
  }

  private async open(): Promise<void> {
    let url: string;
    try {
      url = await this.address();
    } catch {
      this.end();
      return;
    }
    if (this.over) return;
    const { text_version, text_sha256, ttl_days, ...rest } = this.start;
    const consent = { given: true, text_version, ...(text_sha256 ? { text_sha256 } : {}) };
    const kept = ttl_days === null ? {} : { ttl_days };
    const socket = new WebSocket(url);
    this.socket = socket;
    socket.onopen = () =>
      socket.send(
        JSON.stringify({ type: "start", encoding: "pcm_s16le", consent, ...rest, ...kept }),
      );
    socket.onmessage = (event) => !this.over && this.heard(String(event.data));
    socket.onclose = () => this.end();
  }

  private heard(text: string): void {
    const message = decode(text);
    if (!message) return;
    if (message.type === "error") this.error = message;
    if (message.type === "ready") {
      this.ready = true;
      for (const piece of this.waiting) this.socket?.send(piece);
      this.waiting = [];
    }
    if (message.type === "enrolled" || message.type === "refused") this.over = true;
    this.listener.message(message);
  }

  private end(): void {
    if (this.over) return;
    this.over = true;
    this.listener.broken(this.error);
  }
}

/** Seconds of a clock that no one sets. */
export function now(): number {
  return performance.now() / 1000;
}
