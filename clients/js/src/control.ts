/** The control connection: requests and their answers, reconnecting by itself. */

import { ConnectionFailed, ServerError, type VoxwatchError } from "./errors.js";
import { waitBefore } from "./hope.js";
import type { Bounds, ExpectedRate, Model } from "./messages.js";
import {
  dial,
  forsake,
  OPEN,
  serverOf,
  unreachable,
  whenOnline,
  type Socket,
  type SocketConstructor,
} from "./network.js";

/** Of `status`. */
export interface ExpiringToken {
  name: string;
  roles: string[];
  /** Seconds since 1970. */
  expires_at: number;
  /** It was shown on this connection. */
  own: boolean;
}

/** The result of `status`. */
export interface Status {
  version: string;
  model: Model | null;
  provider: string;
  roles: string[];
  auth_required: boolean;
  /** The encodings of sound that it takes; earlier servers do not say. */
  encodings?: string[];
  consent: { text_version: string; text: string; kept?: [string, string][] };
  /** Where a record is kept: entries written, waiting and lost, and workers that cannot write. */
  record?: { written?: number; waiting?: number; lost?: number; failing?: number };
  /** Tokens that have expired or do within days: one's own, for an admin all. */
  expiring_tokens?: ExpiringToken[];
  bounds?: Bounds;
  /** With a full enrolment. */
  expected_rates?: ExpectedRate[];
}

/** One of the results of `profiles`. */
export interface Profile {
  name: string;
  /** Seconds since 1970. */
  created_at: number;
  expires_at: number | null;
  prototypes: number;
  net_speech_s: number;
  usable: boolean;
  consent: { given_at: number; text_version: string };
}

interface Answer {
  id?: number;
  ok?: boolean;
  result?: unknown;
  error?: { code: string; message: string };
  /** An error that ends the connection stands alone. */
  type?: string;
  code?: string;
  message?: string;
}

interface Pending {
  resolve(result: unknown): void;
  reject(error: VoxwatchError): void;
}

export interface ControlListener {
  /** At each new connection, before which nothing can be asked. */
  opened?(): void;
  /** At its end; `refused`: it never opened. */
  closed?(refused: boolean): void;
}

export class Control {
  private socket: Socket | null = null;
  private readonly pending = new Map<number, Pending>();
  private id = 0;
  private tries = 0;
  private left = false;
  private last: VoxwatchError | null = null; // what the server said as it closed
  private timer: ReturnType<typeof setTimeout> | undefined;
  private readonly offline: () => void;

  /** A connection that showed no token in time is not opened again before `connect`. */
  constructor(
    private readonly url: string,
    private readonly sockets: SocketConstructor,
    private readonly listener: ControlListener = {},
  ) {
    this.offline = whenOnline(() => this.connect());
  }

  get open(): boolean {
    return this.socket?.readyState === OPEN;
  }

  connect(): void {
    if (this.socket || this.left) return;
    const socket = dial(this.sockets, this.url);
    this.socket = socket;
    this.last = null;
    let refused = true;
    socket.onopen = () => {
      this.tries = 0;
      refused = false;
      this.listener.opened?.();
    };
    socket.onmessage = ({ data }) => this.heard(String(data));
    socket.onclose = ({ reason }) => this.closed(refused, String(reason));
  }

  /** The result of a request of wire version 1. Rejects with a `VoxwatchError`. */
  request<T = unknown>(type: string, fields: Record<string, unknown> = {}): Promise<T> {
    const { socket } = this;
    if (socket?.readyState !== OPEN) {
      const message = `${serverOf(this.url)} cannot be reached just now: try again in a moment`;
      return Promise.reject(new ConnectionFailed(message));
    }
    this.id += 1;
    const id = this.id;
    return new Promise<T>((resolve, reject) => {
      this.pending.set(id, { resolve: (result) => resolve(result as T), reject });
      socket.send(JSON.stringify({ id, type, ...fields }));
    });
  }

  /** No answer comes: the connection is taken for lost, which nothing else may tell for long. */
  renew(): void {
    const { socket } = this;
    if (!socket) return;
    forsake(socket);
    this.closed(false, "");
  }

  /** Leave for good. */
  close(): void {
    this.left = true;
    clearTimeout(this.timer);
    this.offline();
    this.socket?.close();
  }

  private closed(refused: boolean, reason: string): void {
    this.socket = null;
    const gone = this.last ?? new ConnectionFailed("the server went away: try again in a moment");
    for (const request of this.pending.values()) request.reject(gone);
    this.pending.clear();
    if (this.left || reason === "unauthorised") return;
    this.listener.closed?.(refused);
    this.timer = setTimeout(() => this.connect(), 1000 * waitBefore(this.tries, Math.random()));
    this.tries += 1;
  }

  private heard(text: string): void {
    try {
      this.answered(JSON.parse(text) as Answer);
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error;
      this.last = new ServerError("bad-message", "the server does not speak JSON: is it voxwatch?");
      this.socket?.close();
    }
  }

  private answered(answer: Answer): void {
    if (answer.type === "error") {
      this.last = new ServerError(String(answer.code), String(answer.message));
    }
    const request = answer.id === undefined ? undefined : this.pending.get(answer.id);
    if (!request) return;
    this.pending.delete(answer.id!);
    if (answer.ok) request.resolve(answer.result);
    else {
      const { code = "error", message = "the server refused" } = answer.error ?? {};
      request.reject(new ServerError(code, message));
    }
  }
}

/** One connection, once it is open; it is not made again. Rejects with a `ConnectionFailed`. */
export function openControl(url: string, sockets: SocketConstructor): Promise<Control> {
  return new Promise((resolve, reject) => {
    const control = new Control(url, sockets, {
      opened: () => resolve(control),
      closed: () => {
        control.close();
        reject(unreachable(url));
      },
    });
    try {
      control.connect();
    } catch (error) {
      reject(error as VoxwatchError);
    }
  });
}
