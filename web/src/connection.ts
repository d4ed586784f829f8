/**
 * One stream over connections that may drop, sans-IO: what happens goes in, what to do comes out.
 *
 * Sound is kept for 30 s whether or not it was sent, because only a new connection's `ready`
 * says how much of it the server took.
 */

import { Backlog } from "./backlog";
import { decode } from "./decode";
import type { Failure, Message } from "./wire";

export type Phase =
  | "idle"
  | "connecting"
  | "live" // after `ready`
  | "waiting" // to try again
  | "finishing" // no more sound comes; the server answers what it has
  | "ended"
  | "failed"; // trying again would not help

/** Why a session begins: the first; the server no longer had the last; the sound has another rate. */
export type Why = "first" | "gone" | "rate";

export type Action =
  | { do: "open" }
  | { do: "send"; data: string | Uint8Array<ArrayBuffer> }
  | { do: "close" }
  | { do: "deliver"; message: Message }
  /** A session begins: media time 0 is `kept_s` before now. */
  | { do: "begin"; kept_s: number; why: Why }
  /** Sound that was never sent and is no longer held; it lay `ago_s` before now. */
  | { do: "lost"; lost_s: number; ago_s: number };

export interface Start {
  sample_rate: number;
  claim: string[];
  label?: string;
  false_accept?: number;
}

export const KEEP_S = 30;
// `quality` comes each 2 s of sound: a server that says nothing to so much sound, or for so long
// after the end of it, is gone. An interrupted microphone is no reason to leave it.
const SILENCE_S = 15;
const KEEPALIVE_S = 10; // a server ends a connection after a minute of nothing
const OPENING_S = 10;
const FIRST_WAIT_S = 0.5;
const LONGEST_WAIT_S = 5;

/** Codes after which the same request would fail again. */
const HOPELESS: ReadonlySet<string> = new Set([
  "bad-start",
  "unknown-encoding",
  "bad-rate",
  "bad-parameter",
  "unknown-speaker",
  "unusable-voiceprint",
  "too-many-claims",
  "bad-message",
  "unknown-control",
  "second-start",
  "bad-sound",
  "text-not-utf8",
  "binary-before-start",
  "wrong-frame",
  "taken-over",
  "message-too-big",
  "unauthorised",
  "forbidden-origin",
  "audio-quota",
  "stream-too-long",
  "consent-withdrawn",
]);

/** Codes that say: this session cannot be resumed, begin another at once. */
const SESSION_GONE: ReadonlySet<string> = new Set(["unknown-session", "gap"]);

/** Seconds until the next try: doubling, with up to a quarter of jitter from `random` in 0..1. */
export function waitBefore(tries: number, random: number): number {
  const wait = Math.min(FIRST_WAIT_S * 2 ** tries, LONGEST_WAIT_S);
  return wait * (1 - random / 4);
}

export class StreamConnection {
  phase: Phase = "idle";
  /** Time of the next try, while waiting. */
  retryAt = 0;
  error: Failure | null = null;
  /** Connections made after the first. */
  reconnects = 0;
  /** Of those, how many began a new session because the server had lost the old one. */
  restarts = 0;
  lost_s = 0;

  private session: string | null = null;
  private heard = -1; // sequence number of the last message
  /** Tries since the last `ready`. */
  tries = 0;
  private busySince = 0; // opening began, or the last message came
  private connected = false;
  private everReady = false;
  private stopping = false;
  private why: Why = "first"; // the next new session begins
  private answered = 0; // bytes made when the server last said something
  private fed = 0; // bytes made at the last tick with new sound
  private fedAt = 0; // when that was, or a keepalive was sent

  private readonly backlog = new Backlog();

  constructor(
    private start: Start,
    private readonly random: () => number = Math.random,
  ) {}

  private get bytesPerSecond(): number {
    return 2 * this.start.sample_rate;
  }

  /** Seconds of sound that no socket has been given. */
  get unsent_s(): number {
    return this.backlog.unsent / this.bytesPerSecond;
  }

  /** Media time of the newest sound. */
  get made_s(): number {
    return this.backlog.made / this.bytesPerSecond;
  }

  connect(now: number): Action[] {
    this.phase = "connecting";
    this.busySince = now;
    this.error = null;
    return [{ do: "open" }];
  }

  /** The socket is open: say what is wanted. */
  opened(now: number): Action[] {
    this.connected = true;
    this.busySince = now;
    const { claim, ...rest } = this.start;
    const resume = this.session
      ? { session: this.session, resume_from: this.heard + 1 }
      : undefined;
    const start = { type: "start", encoding: "pcm_s16le", channels: 1, claim, ...rest, ...resume };
    return [json(start)];
  }

  received(text: string, now: number): Action[] {
    this.busySince = now;
    this.answered = this.backlog.made;
    const message = decode(text);
    if (!message) return [];
    if (message.type === "ready") {
      return this.ready(message.session, message.seq, message.resumed, message.received_bytes, message);
    }
    if (message.seq <= this.heard) {
      // Errors that end a connection are outside of the session's line of events.
      if (message.type === "error") this.error = message;
      return [];
    }
    this.heard = message.seq;
    this.error = message.type === "error" ? message : null;
    if (message.type === "summary") this.session = null; // over, whoever ended it
    return [{ do: "deliver", message }];
  }

  closed(now: number): Action[] {
    this.connected = false;
    if (this.phase === "ended" || this.phase === "failed") return [];
    if (this.stopping) {
      this.phase = "ended";
      return [];
    }
    const code = this.error?.code ?? "";
    if (HOPELESS.has(code)) {
      this.phase = "failed";
      return [];
    }
    if (SESSION_GONE.has(code)) {
      this.session = null;
      return this.connect(now);
    }
    this.phase = "waiting";
    this.retryAt = now + waitBefore(this.tries, this.random());
    this.tries += 1;
    return [];
  }

  /** More sound, whole samples. `room`: whether the socket takes more without piling it up. */
  sound(bytes: Uint8Array<ArrayBuffer>, room: boolean): Action[] {
    if (this.stopping) return [];
    this.backlog.add(bytes);
    const overflow = this.trim();
    return [...overflow, ...(room ? this.flush() : [])];
  }

  tick(now: number): Action[] {
    if (this.phase === "waiting" && now >= this.retryAt) return this.connect(now);
    if (this.phase === "live") return this.attend(now);
    const patience = this.phase === "finishing" ? SILENCE_S : OPENING_S;
    const busy = this.phase === "connecting" || this.phase === "finishing";
    if (busy && now - this.busySince > patience) {
      this.busySince = now;
      return [{ do: "close" }];
    }
    return [];
  }

  /** While the connection lives: leave a server that is gone, stay with one that gets no sound. */
  private attend(now: number): Action[] {
    const { made } = this.backlog;
    if (made !== this.fed) {
      this.fed = made;
      this.fedAt = now;
    }
    if (made - this.answered > SILENCE_S * this.bytesPerSecond) {
      this.answered = made;
      return [{ do: "close" }];
    }
    if (now - this.fedAt < KEEPALIVE_S) return [];
    this.fedAt = now;
    return [json({ type: "keepalive" })];
  }

  /** The network is back: do not wait for the next try. */
  hurry(now: number): Action[] {
    return this.phase === "waiting" ? this.connect(now) : [];
  }

  /** Change the question or the target; a later connection starts with them. */
  configure(change: { claim?: string[]; false_accept?: number }): Action[] {
    this.start = { ...this.start, ...change };
    if (this.phase !== "live") return [];
    return [json({ type: "configure", ...change })];
  }

  /** The sound goes on at another rate, which takes a session of its own. */
  retune(sample_rate: number): Action[] {
    if (sample_rate === this.start.sample_rate || this.stopping) return [];
    this.start = { ...this.start, sample_rate };
    this.session = null;
    this.why = "rate";
    this.backlog.clear();
    this.answered = this.fed = 0;
    return this.connected ? [json({ type: "close" }), { do: "close" }] : [];
  }

  /** No more sound: let the server answer what it has, then end. */
  finish(now: number): Action[] {
    this.stopping = true;
    if (this.phase !== "live") {
      this.phase = "ended";
      return this.connected ? [{ do: "close" }] : [];
    }
    this.phase = "finishing";
    this.busySince = now;
    return [...this.flush(), json({ type: "finalize" })];
  }

  private ready(
    session: string,
    seq: number,
    resumed: boolean,
    received: number,
    message: Message,
  ): Action[] {
    if (this.everReady) this.reconnects += 1;
    const actions: Action[] = resumed ? [] : this.begin();
    this.everReady = true;
    this.tries = 0;
    this.session = session;
    this.heard = resumed ? Math.max(this.heard, seq) : seq;
    this.phase = "live";
    this.error = null;
    actions.push({ do: "deliver", message });
    return [...actions, ...this.resumeAt(received)];
  }

  /** A new session: its sound begins with what no session was given yet. */
  private begin(): Action[] {
    if (this.everReady) this.restarts += 1;
    const { why } = this;
    this.why = "gone";
    const unsent = this.backlog.restart();
    this.answered = this.fed = unsent;
    return [{ do: "begin", kept_s: unsent / this.bytesPerSecond, why }];
  }

  /** The server has `received` bytes: go on from there, or from the oldest that is held. */
  private resumeAt(received: number): Action[] {
    this.backlog.sent = Math.min(received, this.backlog.made);
    return [...this.trim(), ...this.flush()];
  }

  /** Forget the oldest sound past 30 s. What was never sent is lost, and that is told. */
  private trim(): Action[] {
    const { lost, ago } = this.backlog.trim(KEEP_S * this.bytesPerSecond);
    if (lost === 0) return [];
    this.answered = Math.min(this.answered, this.backlog.made);
    const lost_s = lost / this.bytesPerSecond;
    this.lost_s += lost_s;
    return [{ do: "lost", lost_s, ago_s: ago / this.bytesPerSecond }];
  }

  /** Send what was not sent. */
  private flush(): Action[] {
    if (this.phase !== "live" && this.phase !== "finishing") return [];
    return this.backlog.take().map((data) => ({ do: "send", data }));
  }
}

function json(value: object): Action {
  return { do: "send", data: JSON.stringify(value) };
}
