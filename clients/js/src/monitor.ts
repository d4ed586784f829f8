/** What all streams of a server say, or one of them: a connection that is made again. */

import { Attempt, isRefused } from "./attempt.js";
import { Channel } from "./channel.js";
import { decode } from "./decode.js";
import { ConnectionFailed, ServerError, VoxwatchError } from "./errors.js";
import { waitBefore } from "./hope.js";
import type { MonitorMessage } from "./messages.js";
import { now, told, type Entrance, type SocketConstructor } from "./network.js";

const PATIENCE_S = 60;

export interface MonitorOptions {
  /** The public id of the one to follow; left out: all. */
  stream?: string;
  /** Levels are told, too. */
  levels?: boolean;
  /** After so long without a connection it has failed. */
  patience_s?: number;
}

/** `ready` comes first, and again after each break, with the streams as they are then. */
export class Monitor extends Channel<MonitorMessage> {
  phase: "connecting" | "live" | "waiting" | "ended" | "failed" = "connecting";
  /** Time of the next try, while waiting. */
  retryAt = 0;
  reconnects = 0;
  /** Tries since the last `ready`. */
  tries = 0;
  private readonly patience_s: number;
  private attempt: Attempt | null = null;
  private ever = false;
  private last: ServerError | null = null; // what the server said as it closed
  private awaySince: number | null = null;
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    options: MonitorOptions,
    private readonly entrance: Entrance,
    private readonly sockets: SocketConstructor,
  ) {
    super();
    this.patience_s = options.patience_s ?? PATIENCE_S;
    this.open();
  }

  /** The server is known to be back: do not wait for the next try. */
  hurry(): void {
    if (this.phase !== "waiting") return;
    clearTimeout(this.timer);
    this.open();
  }

  /** The server is known not to answer: this connection is taken for lost, and made again. */
  renew(): void {
    if (this.phase !== "live") return;
    this.attempt?.close();
    this.closed(new ConnectionFailed("the server does not answer: try again in a moment"));
  }

  protected leave(failure: VoxwatchError | null): void {
    this.phase = failure ? "failed" : "ended";
    this.release();
    this.end(failure);
    if (failure) this.emit("moved", undefined); // whoever leaves knows it
  }

  private open(): void {
    this.phase = "connecting";
    this.last = null;
    const attempt = new Attempt(this.entrance, this.sockets, {
      opened: () => undefined, // `ready` follows
      received: (text) => this.heard(text),
      closed: () => this.closed(this.last ?? attempt.lateness),
      failed: (why) => (isRefused(why) ? this.leave(why) : this.closed(why)),
    });
    this.attempt = attempt;
    this.emit("moved", undefined);
  }

  private heard(text: string): void {
    let message: MonitorMessage;
    try {
      message = decode<MonitorMessage>(text);
    } catch (error) {
      if (!(error instanceof VoxwatchError)) throw error;
      return this.leave(error);
    }
    if (message.type === "error" && message.stream === undefined) {
      this.last = new ServerError(message.code, message.message, message.retry_s ?? null);
    }
    if (message.type === "ready") {
      this.phase = "live";
      this.tries = 0;
      this.awaySince = null;
      if (this.ever) this.reconnects += 1;
      this.ever = true;
    }
    this.tell(message);
    this.emit("moved", undefined);
  }

  private closed(why: unknown): void {
    if (this.over || this.phase === "waiting") return;
    this.awaySince ??= now();
    if (now() - this.awaySince >= this.patience_s) {
      const known = why instanceof VoxwatchError;
      return this.leave(known ? why : new ConnectionFailed(told(why), { cause: why }));
    }
    this.phase = "waiting";
    const wait = waitBefore(this.tries, Math.random());
    this.tries += 1;
    this.retryAt = now() + wait;
    this.timer = setTimeout(() => this.open(), 1000 * wait);
    this.emit("moved", undefined);
  }

  private release(): void {
    clearTimeout(this.timer);
    this.attempt?.close();
    this.attempt = null;
  }
}
