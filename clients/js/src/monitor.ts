/** What all streams of a server say, or one of them: a connection that is made again. */

import { Channel } from "./channel.js";
import { decode } from "./decode.js";
import { ConnectionFailed, ServerError, VoxwatchError } from "./errors.js";
import { waitBefore } from "./hope.js";
import type { MonitorMessage } from "./messages.js";
import {
  dial,
  forsake,
  now,
  told,
  unreachable,
  type Entrance,
  type Socket,
  type SocketConstructor,
} from "./network.js";

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
  private socket: Socket | null = null;
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
    void this.open();
  }

  /** The server is known to be back: do not wait for the next try. */
  hurry(): void {
    if (this.phase !== "waiting") return;
    clearTimeout(this.timer);
    void this.open();
  }

  /** The server is known not to answer: this connection is taken for lost, and made again. */
  renew(): void {
    if (this.phase !== "live" || !this.socket) return;
    forsake(this.socket);
    this.socket = null;
    this.closed(new ConnectionFailed("the server does not answer: try again in a moment"));
  }

  protected leave(failure: VoxwatchError | null): void {
    this.phase = failure ? "failed" : "ended";
    this.release();
    this.end(failure);
    if (failure) this.emit("moved", undefined); // whoever leaves knows it
  }

  private async open(): Promise<void> {
    this.phase = "connecting";
    try {
      const url = await this.entrance.address();
      if (this.over) return;
      const socket = dial(this.sockets, url);
      this.socket = socket;
      let opened = false;
      socket.onopen = () => (opened = true);
      socket.onmessage = ({ data }) => !this.over && this.heard(String(data));
      this.last = null;
      socket.onclose = () => {
        if (opened) this.closed(this.last ?? unreachable(url));
        else void this.unopened(url);
      };
      this.emit("moved", undefined);
    } catch (error) {
      if (error instanceof ServerError && error.code === "unauthorised") this.leave(error);
      else this.closed(error);
    }
  }

  private async unopened(url: string): Promise<void> {
    const refusal = await this.entrance.refusal(url);
    if (refusal && !this.over) this.leave(refusal);
    else this.closed(unreachable(url));
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
    this.timer = setTimeout(() => void this.open(), 1000 * wait);
    this.emit("moved", undefined);
  }

  private release(): void {
    clearTimeout(this.timer);
    this.socket?.close();
    this.socket = null;
  }
}
