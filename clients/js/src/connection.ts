/**
 * One stream over connections that may drop, sans-IO: what happens goes in, what to do comes out.
 */

import type { Action, Phase, Rules, Start, Why } from "./actions.js";
import type { Control } from "./controls.js";
import { decode } from "./decode.js";
import { HOPELESS, SESSION_GONE, waitBefore } from "./hope.js";
import type { Configure, Failure, Ready, StreamMessage } from "./messages.js";
import { KEEP_S, Outgoing, type Lost } from "./outgoing.js";
import { Presence, SILENCE_S } from "./presence.js";

const UNSURE_S = 0.5; // a message's time counts resampled sound, which differs by less than this
const LEAST_KEPT_S = 1; // less is how sound is cut into pieces
const OPENING_S = 10; // a connection that takes longer is given up
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
  private awaySince: number | null = null; // the first of the tries that failed
  private connected = false;
  private everReady = false;
  private stopping = false;
  private finalized = false; // this connection was told
  private summed = false; // the session has had its summary
  private why: Why = "first"; // the next new session begins
  private readonly outgoing: Outgoing;
  private readonly presence: Presence;

  constructor(
    private start: Start,
    rules: Partial<Rules> = {},
  ) {
    this.rules = { ...USUAL, ...rules };
    this.outgoing = new Outgoing(start, this.rules.lossless);
    this.presence = new Presence(this.outgoing, this.rules.lossless);
  }

  /** Seconds of sound that no socket has been given. */
  get unsent_s(): number {
    return this.outgoing.unsent_s;
  }

  /** Seconds of sound that would be sent again, as the server is not known to have it. */
  get kept_s(): number {
    return this.outgoing.kept_s;
  }

  /** Seconds of sound made since the server last said something, which it does each 2 s of sound. */
  get unanswered_s(): number {
    return this.presence.unanswered_s;
  }

  /** Media time of the newest sound. */
  get made_s(): number {
    return this.outgoing.seconds(this.outgoing.made);
  }

  /** Bytes of sound that can be taken in without letting any go. */
  get room(): number {
    return this.outgoing.room;
  }

  connect(now: number): Action[] {
    this.phase = "connecting";
    this.presence.waitsFrom(now);
    this.error = null;
    return [{ do: "open" }];
  }

  /** The socket is open: say what is wanted. */
  opened(now: number): Action[] {
    this.connected = true;
    this.presence.waitsFrom(now);
    const usual = { type: "start", encoding: "pcm_s16le", channels: 1, claim: [] };
    const resume = this.session
      ? { session: this.session, resume_from: this.heard + 1 }
      : this.kept;
    return [json({ ...usual, ...this.start, ...resume })];
  }

  /** Live sound that no session was given was said before this one begins. */
  private get kept(): { kept_s: number } | undefined {
    const kept_s = Math.min(KEEP_S, this.outgoing.unsent_s);
    if (this.rules.lossless || this.start.live === false || kept_s < LEAST_KEPT_S) return undefined;
    return { kept_s };
  }

  /** Text came. Throws a `ServerError` for what cannot be read. */
  received(text: string, now: number): Action[] {
    this.presence.heard(now);
    const message = decode<StreamMessage>(text);
    if (message.type === "ready") return this.ready(message);
    if (message.seq <= this.heard) {
      // Errors that end a connection are outside of the session's line of events.
      if (message.type === "error") this.error = message;
      return [];
    }
    this.heard = message.seq;
    this.error = message.type === "error" ? message : null;
    if (message.type === "received") this.outgoing.hasTakenBytes(message.received_bytes);
    else this.outgoing.hasTaken(message.t - UNSURE_S);
    if (message.type === "summary") {
      this.session = null; // over, whoever ended it
      this.summed = true;
      this.outgoing.hasTaken(message.received_s);
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
    if (this.outgoing.isContainer && this.everReady && this.session === null) {
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
    const lost = this.outgoing.add(bytes);
    return [...this.toldLost(lost), ...(room ? this.flush() : [])];
  }

  tick(now: number): Action[] {
    if (this.phase === "waiting" && now >= this.retryAt) return this.connect(now);
    if (this.phase === "live") return this.attend(now);
    const patience = this.phase === "finishing" ? SILENCE_S : OPENING_S;
    const busy = this.phase === "connecting" || this.phase === "finishing";
    return busy && this.presence.isLate(now, patience) ? [{ do: "close" }] : [];
  }

  /** While the connection lives: leave a server that is gone, stay with one that gets no sound. */
  private attend(now: number): Action[] {
    const found = this.presence.look(now);
    if (found === "gone") return [{ do: "close" }];
    return found === "unfed" ? [json({ type: "keepalive" })] : [];
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
    this.outgoing.ask(control);
    return room ? this.flush() : [];
  }

  /** The sound goes on at another rate, which takes a session of its own. */
  retune(sample_rate: number): Action[] {
    if (sample_rate === this.start.sample_rate || this.stopping) return [];
    this.start = { ...this.start, sample_rate };
    this.session = null;
    if (this.everReady) this.why = "rate";
    this.outgoing.retune(sample_rate);
    this.presence.restart();
    return this.connected ? [json({ type: "close" }), { do: "close" }] : [];
  }

  /** No more sound: let the server answer what it has, then end. */
  finish(now: number): Action[] {
    this.stopping = true;
    if (this.phase === "live") {
      this.phase = "finishing";
      this.presence.waitsFrom(now);
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
    actions.push({ do: "deliver", message });
    const lost = this.outgoing.resume(message.received_bytes);
    return [...actions, ...this.toldLost(lost), ...this.flush()];
  }

  private begin(): Action[] {
    if (this.everReady) this.restarts += 1;
    const { why } = this;
    this.why = "gone";
    this.outgoing.restart();
    this.presence.restart();
    return [{ do: "begin", kept_s: this.made_s, why }];
  }

  private toldLost(lost: Lost | null): Action[] {
    if (!lost) return [];
    this.presence.trimmed();
    this.lost_s += lost.lost_s;
    return [{ do: "lost", ...lost }];
  }

  /** Send what was not sent, with each control at its place. */
  private flush(): Action[] {
    if (this.phase !== "live" && this.phase !== "finishing") return [];
    const actions = this.outgoing
      .take()
      .map((one): Action => (one instanceof Uint8Array ? { do: "send", data: one } : json(one)));
    if (this.stopping && this.outgoing.allSent && !this.finalized) {
      this.finalized = true;
      actions.push(json({ type: "finalize" }));
    }
    return actions;
  }
}

function json(value: object): Action {
  return { do: "send", data: JSON.stringify(value) };
}
