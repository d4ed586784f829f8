/**
 * One stream over connections that may drop, sans-IO: what happens goes in, what to do comes out.
 *
 * Sound is kept for 30 s whether or not it was sent, because only a new connection's `ready`
 * says how much of it the server took.
 */

import { Backlog } from "./backlog.js";
import { Controls, type Control } from "./controls.js";
import { decode } from "./decode.js";
import { HOPELESS, SESSION_GONE, waitBefore } from "./hope.js";
import {
  SAMPLE_BYTES,
  type Configure,
  type Failure,
  type Ready,
  type StartStream,
  type StreamMessage,
} from "./messages.js";

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
  | { do: "deliver"; message: StreamMessage }
  /** A session begins: media time 0 is `kept_s` before now. */
  | { do: "begin"; kept_s: number; why: Why }
  /** Sound that was never sent and is no longer held; it lay `ago_s` before now. */
  | { do: "lost"; lost_s: number; ago_s: number };

export type Start = StartStream & { sample_rate: number };

export interface Rules {
  /** No sound may be lost: who makes it waits for `room`. Otherwise the oldest is let go. */
  lossless: boolean;
  /** How long no connection can be made until it has failed. */
  patience_s: number;
  /** Of 0 to 1, for the jitter of tries. */
  random: () => number;
}

export const KEEP_S = 30;
// Of lossless sound so much is under way, not known to be taken: what can be sent again is held.
const WINDOW_S = 10;
const UNSURE_S = 0.5; // a message's time counts resampled sound, which differs by less than this
// `quality` comes each 2 s of sound: a server that says nothing to so much sound, or for so long
// after the end of it, is gone. An interrupted microphone is no reason to leave it.
const SILENCE_S = 15;
const DUE_S = 3; // sound to which the server has something to say
const KEEPALIVE_S = 10; // a server ends a connection after a minute of nothing
const OPENING_S = 10;
const OPUS_BYTES_PER_S = 16_000; // 128 kbit/s: more than a browser makes of speech
const TORN: Failure = {
  type: "error",
  seq: 0,
  t: 0,
  code: "unknown-session",
  message:
    "the server no longer has the session, and Opus is read from its beginning: " +
    "begin another recording and another stream",
};
const USUAL: Rules = { lossless: false, patience_s: Infinity, random: Math.random };

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
  /** Tries since the last `ready`. */
  tries = 0;

  private readonly rules: Rules;
  private session: string | null = null;
  private heard = -1; // sequence number of the last message
  private busySince = 0; // opening began, or the last message came
  private awaySince: number | null = null; // the first of the tries that failed
  private connected = false;
  private everReady = false;
  private stopping = false;
  private finalized = false; // this connection was told
  private summed = false; // the session has had its summary
  private why: Why = "first"; // the next new session begins
  private answered = 0; // bytes made when the server last said something
  private taken = 0; // bytes that the server is known to have
  private fed = 0; // bytes made at the last tick with new sound
  private fedAt = 0; // when that was, or a keepalive was sent

  private readonly backlog = new Backlog();
  private readonly controls = new Controls();

  constructor(
    private start: Start,
    rules: Partial<Rules> = {},
  ) {
    this.rules = { ...USUAL, ...rules };
  }

  /** Bytes of a sample of all channels. */
  private get frame(): number {
    const { encoding = "pcm_s16le", channels = 1 } = this.start;
    return encoding === "opus" ? 1 : SAMPLE_BYTES[encoding]! * channels;
  }

  /** Whether the sound is a container, of whose bytes a time says nothing. */
  private get isContainer(): boolean {
    return this.start.encoding === "opus";
  }

  private get bytesPerSecond(): number {
    return this.isContainer ? OPUS_BYTES_PER_S : this.frame * this.start.sample_rate;
  }

  /** Seconds of sound that no socket has been given. */
  get unsent_s(): number {
    return this.backlog.unsent / this.bytesPerSecond;
  }

  /** Media time of the newest sound. */
  get made_s(): number {
    return this.backlog.made / this.bytesPerSecond;
  }

  /** Bytes of sound that can be taken in without letting any go. */
  get room(): number {
    return Math.max(0, KEEP_S * this.bytesPerSecond - (this.backlog.made - this.taken));
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
    const usual = { type: "start", encoding: "pcm_s16le", channels: 1, claim: [] };
    const resume = this.session
      ? { session: this.session, resume_from: this.heard + 1 }
      : undefined;
    return [json({ ...usual, ...this.start, ...resume })];
  }

  /** Text came. Throws a `ServerError` for what cannot be read. */
  received(text: string, now: number): Action[] {
    this.busySince = now;
    this.answered = this.backlog.made;
    const message = decode<StreamMessage>(text);
    if (message.type === "ready") return this.ready(message);
    if (message.seq <= this.heard) {
      // Errors that end a connection are outside of the session's line of events.
      if (message.type === "error") this.error = message;
      return [];
    }
    this.heard = message.seq;
    this.error = message.type === "error" ? message : null;
    if (message.type === "received") this.hasTakenBytes(message.received_bytes);
    else this.hasTaken(message.t - UNSURE_S);
    if (message.type === "summary") {
      this.session = null; // over, whoever ended it
      this.summed = true;
      this.hasTaken(message.received_s);
    }
    const more = this.rules.lossless && !this.summed ? this.flush() : [];
    return [{ do: "deliver", message }, ...more];
  }

  closed(now: number): Action[] {
    this.connected = false;
    if (this.phase === "ended" || this.phase === "failed") return [];
    if (this.stopping && (this.summed || !this.rules.lossless)) {
      this.phase = "ended";
      return [];
    }
    const code = this.error?.code ?? "";
    if (HOPELESS.has(code)) {
      this.phase = "failed";
      return [];
    }
    if (SESSION_GONE.has(code)) this.session = null;
    if (this.isContainer && this.everReady && this.session === null) {
      this.error = TORN;
      this.phase = "failed";
      return [];
    }
    if (SESSION_GONE.has(code)) return this.connect(now);
    this.awaySince ??= now;
    if (now - this.awaySince >= this.rules.patience_s) {
      this.phase = "failed";
      return [];
    }
    this.phase = "waiting";
    this.retryAt =
      now + Math.max(waitBefore(this.tries, this.rules.random()), this.error?.retry_s ?? 0);
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
    if (this.isSilent(now)) {
      this.answered = made;
      this.busySince = now;
      return [{ do: "close" }];
    }
    if (now - this.fedAt < KEEPALIVE_S) return [];
    this.fedAt = now;
    return [json({ type: "keepalive" })];
  }

  private isSilent(now: number): boolean {
    const { made, sent } = this.backlog;
    // Sound that is pushed faster than it is spoken is answered as fast as the server can.
    if (this.rules.lossless) {
      return now - this.busySince > SILENCE_S && sent - this.taken > DUE_S * this.bytesPerSecond;
    }
    return made - this.answered > SILENCE_S * this.bytesPerSecond;
  }

  /** The network is back: do not wait for the next try. */
  hurry(now: number): Action[] {
    return this.phase === "waiting" ? this.connect(now) : [];
  }

  /** Change the question or the target; a later session starts with them. */
  configure(change: Omit<Configure, "type">, room: boolean): Action[] {
    const { claim, false_accept, miss } = change;
    this.start = {
      ...this.start,
      ...(claim == null ? {} : { claim }),
      ...(false_accept == null ? {} : { false_accept }),
      ...(miss == null ? {} : { miss }),
    };
    return this.phase === "idle" ? [] : this.ask({ type: "configure", ...change }, room);
  }

  /** Something that holds for the sound from here on. */
  ask(control: Control, room: boolean): Action[] {
    if (this.stopping) return [];
    this.controls.add(this.backlog.made, control);
    return room ? this.flush() : [];
  }

  /** The sound goes on at another rate, which takes a session of its own. */
  retune(sample_rate: number): Action[] {
    if (sample_rate === this.start.sample_rate || this.stopping) return [];
    this.start = { ...this.start, sample_rate };
    this.session = null;
    if (this.everReady) this.why = "rate";
    this.controls.restart(this.backlog.made);
    this.backlog.clear();
    this.answered = this.fed = this.taken = 0;
    return this.connected ? [json({ type: "close" }), { do: "close" }] : [];
  }

  /** No more sound: let the server answer what it has, then end. */
  finish(now: number): Action[] {
    this.stopping = true;
    if (this.phase === "live") {
      this.phase = "finishing";
      this.busySince = now;
      return this.flush();
    }
    if (this.rules.lossless && (this.phase === "connecting" || this.phase === "waiting")) return [];
    this.phase = "ended";
    return this.connected ? [{ do: "close" }] : [];
  }

  /** It does not go on, whatever comes. */
  leave(failed: boolean): void {
    this.phase = failed ? "failed" : "ended";
  }

  private ready(message: Ready): Action[] {
    const { resumed, seq } = message;
    if (this.everReady) this.reconnects += 1;
    const actions: Action[] = resumed ? [] : this.begin();
    this.everReady = true;
    this.tries = 0;
    this.awaySince = null;
    this.session = message.session;
    this.heard = resumed ? Math.max(this.heard, seq) : seq;
    this.phase = this.stopping ? "finishing" : "live";
    this.error = null;
    this.finalized = this.summed = false;
    this.controls.connected();
    actions.push({ do: "deliver", message });
    return [...actions, ...this.resumeAt(message.received_bytes)];
  }

  /** A new session: its sound begins with what no session was given, or is not known to have had. */
  private begin(): Action[] {
    if (this.everReady) this.restarts += 1;
    const { why, backlog } = this;
    this.why = "gone";
    const before = backlog.made;
    const kept = backlog.restart(this.rules.lossless ? this.taken : backlog.sent);
    this.controls.restart(before - kept);
    this.answered = this.fed = kept;
    this.taken = 0;
    return [{ do: "begin", kept_s: kept / this.bytesPerSecond, why }];
  }

  /** The server has `received` bytes: go on from there, or from the oldest that is held. */
  private resumeAt(received: number): Action[] {
    this.backlog.sent = Math.min(received, this.backlog.made);
    this.taken = Math.max(this.taken, this.backlog.sent);
    this.controls.taken(this.backlog.sent);
    return [...this.trim(), ...this.flush()];
  }

  /** The server has the sound until this media time. */
  private hasTaken(until_s: number): void {
    if (this.isContainer) return;
    this.hasTakenBytes(Math.floor(Math.max(0, until_s) * this.start.sample_rate) * this.frame);
  }

  private hasTakenBytes(count: number): void {
    this.taken = Math.max(this.taken, Math.min(count, this.backlog.sent));
    this.controls.taken(this.taken);
  }

  /** Forget the oldest sound past 30 s. What was never sent is lost, and that is told. */
  private trim(): Action[] {
    const { lost, ago } = this.backlog.trim(KEEP_S * this.bytesPerSecond);
    if (lost === 0) return [];
    this.controls.lost(this.backlog.sent, lost);
    this.answered = Math.min(this.answered, this.backlog.made);
    const lost_s = lost / this.bytesPerSecond;
    this.lost_s += lost_s;
    return [{ do: "lost", lost_s, ago_s: ago / this.bytesPerSecond }];
  }

  /** Send what was not sent, with each control at its place. */
  private flush(): Action[] {
    if (this.phase !== "live" && this.phase !== "finishing") return [];
    const { backlog, controls } = this;
    const window = this.rules.lossless ? this.taken + WINDOW_S * this.bytesPerSecond : Infinity;
    const actions: Action[] = [];
    for (;;) {
      const control = controls.take(backlog.sent);
      const pieces = control ? [] : backlog.take(Math.min(controls.nextPlace, window));
      if (control) actions.push(json(control));
      else if (pieces.length === 0) break;
      for (const data of pieces) actions.push({ do: "send", data });
    }
    if (this.stopping && backlog.unsent === 0 && !this.finalized) {
      this.finalized = true;
      actions.push(json({ type: "finalize" }));
    }
    return actions;
  }
}

function json(value: object): Action {
  return { do: "send", data: JSON.stringify(value) };
}
