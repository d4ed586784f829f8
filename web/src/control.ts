/** The control connection: requests and their answers, reconnecting by itself. */

import { waitBefore } from "./connection";
import type { Bounds, ExpectedRate, Model } from "./wire";

export interface Status {
  version: string;
  model: Model | null;
  provider: string;
  roles: string[];
  auth_required: boolean;
  consent: { text_version: string; text: string };
  /** Where a record is kept: entries written, waiting and lost, and workers that cannot write. */
  record?: { written?: number; waiting?: number; lost?: number; failing?: number };
  bounds?: Bounds;
  /** With a full enrolment. */
  expected_rates?: ExpectedRate[];
}

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

export type Role = "stream" | "enrol" | "monitor" | "admin";

export class ControlError extends Error {
  constructor(
    readonly code: string,
    message: string,
  ) {
    super(message);
  }
}

interface Answer {
  id: number;
  ok: boolean;
  result?: unknown;
  error?: { code: string; message: string };
}

interface Pending {
  resolve(result: unknown): void;
  reject(error: ControlError): void;
}

export class Control {
  private socket: WebSocket | null = null;
  private readonly pending = new Map<number, Pending>();
  private id = 0;
  private tries = 0;

  /**
   * `onOpen` at each new connection, before which nothing can be asked; `onClose` at its end,
   * with whether it never opened.
   * A connection that showed no token in time is not opened again before `connect`.
   */
  constructor(
    private readonly url: string,
    private readonly onOpen: () => void,
    private readonly onClose: (refused: boolean) => void,
  ) {
    window.addEventListener("online", () => this.connect());
  }

  get open(): boolean {
    return this.socket?.readyState === WebSocket.OPEN;
  }

  connect(): void {
    if (this.socket) return;
    const socket = new WebSocket(this.url);
    this.socket = socket;
    let refused = true;
    socket.onopen = () => {
      this.tries = 0;
      refused = false;
      this.onOpen();
    };
    socket.onmessage = (event) => this.answered(JSON.parse(String(event.data)) as Answer);
    socket.onclose = ({ reason }) => {
      this.socket = null;
      const gone = new ControlError("gone", "The server went away. Try again in a moment.");
      for (const request of this.pending.values()) request.reject(gone);
      this.pending.clear();
      if (reason === "unauthorised") return;
      this.onClose(refused);
      window.setTimeout(() => this.connect(), 1000 * waitBefore(this.tries, Math.random()));
      this.tries += 1;
    };
  }

  /** Ask for something. Rejects with a `ControlError`. */
  ask<T>(type: string, fields: Record<string, unknown> = {}): Promise<T> {
    const socket = this.socket;
    if (socket?.readyState !== WebSocket.OPEN) {
      return Promise.reject(new ControlError("gone", "The server cannot be reached just now."));
    }
    this.id += 1;
    const id = this.id;
    return new Promise<T>((resolve, reject) => {
      this.pending.set(id, { resolve: (result) => resolve(result as T), reject });
      socket.send(JSON.stringify({ id, type, ...fields }));
    });
  }

  private answered(answer: Answer): void {
    const request = this.pending.get(answer.id);
    if (!request) return;
    this.pending.delete(answer.id);
    if (answer.ok) request.resolve(answer.result);
    else {
      const { code = "error", message = "The server refused." } = answer.error ?? {};
      request.reject(new ControlError(code, message));
    }
  }
}
