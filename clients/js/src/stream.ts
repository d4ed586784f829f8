/** One's own stream, over as many connections as it takes. The rules are in `connection.ts`. */

import type { Action, Phase } from "./actions.js";
import { Attempt, isRefused } from "./attempt.js";
import { Channel } from "./channel.js";
import { StreamConnection } from "./connection.js";
import type { Control } from "./controls.js";
import { ConnectionFailed, ServerError, VoxwatchError } from "./errors.js";
import { SAMPLE_BYTES } from "./messages.js";
import type { Configure, StreamMessage, Summary } from "./messages.js";
import { RateCheck } from "./microphone/rate_check.js";
import { now, told, whenOnline, type Entrance, type SocketConstructor } from "./network.js";
import { Queue } from "./queue.js";
import { bytesOf, openSource, type Opened, type Pcm, type Source } from "./sound.js";
import type { StreamEvents, StreamOptions } from "./stream_options.js";

const TICK_MS = 250;
// More than this waits in the browser: the network is slower than the sound.
const FULL_BYTES = 1 << 18;
const PIECE_BYTES = 1 << 16; // a multiple of every sample's size
const PATIENCE_S = 60; // a server keeps a dropped session for so long
const USUAL_RATE_HZ = 16_000;
const CAPTURED = { encoding: "pcm_s16le", channels: 1, channel: 0 } as const;

export class Stream extends Channel<StreamMessage, StreamEvents> {
  /** How the connection stands. */
  readonly connection: StreamConnection;
  private readonly lossless: boolean;
  private readonly frame: number;
  private attempt: Attempt | null = null;
  private why: unknown; // the last attempt ended
  private timer: ReturnType<typeof setInterval> | undefined;
  private readonly offline: () => void;
  private source: Opened | null = null;
  private readonly rates = new RateCheck();
  private readonly pushed = new Queue();
  private readonly senders: (() => void)[] = []; // who waits for room
  private summary: Summary | null = null;
  private readonly settled: Promise<Summary | null>;
  private settle: (summary: Summary | null) => void = () => undefined;
  private unsettle: (failure: VoxwatchError) => void = () => undefined;

  constructor(
    private readonly options: StreamOptions,
    private readonly entrance: Entrance,
    private readonly sockets: SocketConstructor,
  ) {
    super();
    const { source, overflow, patience_s = PATIENCE_S, worklet: _, ...asked } = options;
    const start = source ? { ...asked, ...CAPTURED } : asked;
    const { encoding = "pcm_s16le", sample_rate = USUAL_RATE_HZ } = start;
    // Of a container nothing can be left out.
    this.lossless = encoding === "opus" || (overflow ?? (source ? "drop" : "wait")) === "wait";
    this.frame = encoding === "opus" ? 1 : SAMPLE_BYTES[encoding]! * (start.channels ?? 1);
    const rules = { lossless: this.lossless, patience_s };
    this.connection = new StreamConnection({ ...start, sample_rate }, rules);
    this.settled = new Promise((resolve, reject) => {
      this.settle = resolve;
      this.unsettle = reject;
    });
    this.settled.catch(() => undefined); // whoever waits for it is told
    this.offline = whenOnline(() => this.hurry());
    if (source) void this.listen(source);
    else this.begin();
  }

  get phase(): Phase {
    return this.connection.phase;
  }

  /**
   * Push sound, in pieces of any size. Waits while there is no room for more of it, unless
   * `overflow` is "drop". Rejects with the `failure`.
   */
  async send(pcm: Pcm): Promise<void> {
    const bytes = bytesOf(pcm, this.options.encoding ?? "pcm_s16le");
    this.check();
    if (this.lossless) return this.pushed.add(async () => this.sendAll(await bytes));
    if (bytes instanceof Uint8Array && !this.pushed.busy) return this.sendNow(bytes);
    return this.pushed.add(async () => this.sendNow(await bytes));
  }

  private sendNow(bytes: Uint8Array<ArrayBuffer>): void {
    if (bytes.length % this.frame !== 0) {
      throw new VoxwatchError("bad-sound", 'with overflow "drop" push whole samples');
    }
    this.run(this.connection.sound(bytes, this.hasRoom));
  }

  /**
   * Other names or bounds from here on; a `configured` among the messages confirms it.
   *
   * This and the next three hold for the sound that is sent after them.
   */
  configure(change: Omit<Configure, "type">): void {
    this.afterSound(() => this.connection.configure(change, this.hasRoom));
  }

  /** A new turn begins here: a button was pushed to talk, or a wake word said. */
  turn(): void {
    this.ask({ type: "turn" });
  }

  /** Forget who has spoken: from here on it may be anybody. */
  reset(): void {
    this.ask({ type: "reset" });
  }

  /** What comes is our own loudspeaker, which is heard and never judged, or no longer is. */
  mute(on: boolean): void {
    this.ask({ type: "mute", on });
  }

  /**
   * No more sound follows: the server tells the rest, and the stream ends. The promise is kept
   * with the summary; null where a microphone's stream ended without one. It rejects with the
   * `failure`.
   */
  finalize(): Promise<Summary | null> {
    this.source?.stop();
    this.afterSound(() => this.connection.finish(now()));
    return this.settled;
  }

  /** The server or the network is known to be back: do not wait for the next try. */
  hurry(): void {
    if (!this.over) this.run(this.connection.hurry(now()));
  }

  /** The sound goes on at another rate, which takes another session. */
  retune(sample_rate: number): void {
    this.run(this.connection.retune(sample_rate));
  }

  private ask(control: Control): void {
    this.afterSound(() => this.connection.ask(control, this.hasRoom));
  }

  /** Do it after the sound that was pushed before, some of which may wait for room. */
  private afterSound(act: () => Action[]): void {
    const run = (): void => void (this.over || this.run(act()));
    if (this.pushed.busy) void this.pushed.add(run);
    else run();
  }

  /** One piece after the other, as there is room. */
  private async sendAll(bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    for (let at = 0; at < bytes.length; ) {
      this.check();
      const room = Math.min(PIECE_BYTES, this.connection.room);
      if (room === 0) await new Promise<void>((resolve) => this.senders.push(resolve));
      else this.run(this.connection.sound(bytes.subarray(at, at + room), this.hasRoom));
      at += room;
    }
  }

  private check(): void {
    if (this.failure) throw this.failure;
    if (this.over) throw new VoxwatchError("ended", "the stream has ended: it takes no more sound");
  }

  private get hasRoom(): boolean {
    return (this.attempt?.waiting ?? 0) < FULL_BYTES;
  }

  private async listen(source: Source): Promise<void> {
    try {
      const opened = await openSource(source, this.options.worklet ?? null, {
        begin: (sampleRate) => {
          if (this.over) return;
          this.connection.retune(sampleRate);
          this.begin();
        },
        sound: (samples) => this.heard(samples),
        fault: (fault) => this.emit("fault", fault),
        rate: (sampleRate) => this.retune(sampleRate),
        end: (error) => (error ? this.failed(error) : void this.finalize()),
      });
      if (this.over || this.connection.phase === "ended") opened.stop();
      else this.source = opened;
    } catch (error) {
      if (!(error instanceof VoxwatchError)) throw error;
      this.failed(error);
    }
  }

  private heard(samples: Int16Array<ArrayBuffer>): void {
    if (this.over) return;
    this.emit("sound", samples);
    this.run(this.connection.sound(new Uint8Array(samples.buffer), this.hasRoom));
  }

  private begin(): void {
    this.timer = setInterval(() => this.run(this.connection.tick(now())), TICK_MS);
    this.run(this.connection.connect(now()));
  }

  private run(actions: Action[]): void {
    for (const action of actions) this.perform(action);
    if (this.over) return;
    for (const resolve of this.senders.splice(0)) resolve();
    this.emit("moved", undefined);
    if (this.phase === "failed") this.failed(this.reason());
    if (this.phase === "ended") this.leave(null);
  }

  private perform(action: Action): void {
    switch (action.do) {
      case "open":
        this.open();
        return;
      case "send":
        this.attempt?.send(action.data);
        return;
      case "close":
        this.drop(this.attempt?.lateness);
        return;
      case "deliver":
        this.deliver(action.message);
        return;
      case "begin":
        this.emit("begin", { kept_s: action.kept_s, why: action.why });
        return;
      case "lost":
        this.emit("lost", { lost_s: action.lost_s, ago_s: action.ago_s });
    }
  }

  private deliver(message: StreamMessage): void {
    if (message.type === "summary") this.summary = message;
    if (message.type === "quality" && this.rates.isWrong(message, now())) this.source?.reopen();
    this.tell(message);
  }

  private open(): void {
    const attempt = new Attempt(this.entrance, this.sockets, {
      opened: () => this.run(this.connection.opened(now())),
      received: (text) => this.received(text),
      closed: () => this.drop(attempt.lateness),
      failed: (why) => (isRefused(why) ? this.failed(why) : this.drop(why)),
    });
    this.attempt = attempt;
  }

  private received(text: string): void {
    try {
      this.run(this.connection.received(text, now()));
    } catch (error) {
      if (!(error instanceof VoxwatchError)) throw error;
      this.failed(error);
    }
  }

  /** The connection is over, or is not waited for: a dead one may take minutes to close. */
  private drop(why: unknown): void {
    this.why = why;
    this.hangUp();
    this.run(this.connection.closed(now()));
  }

  private hangUp(): void {
    this.attempt?.close();
    this.attempt = null;
  }

  private reason(): VoxwatchError {
    const { error } = this.connection;
    if (error) return new ServerError(error.code, error.message, error.retry_s ?? null);
    if (this.why instanceof ConnectionFailed) return this.why;
    return new ConnectionFailed(told(this.why), { cause: this.why });
  }

  private failed(failure: VoxwatchError): void {
    if (!this.over) this.leave(failure);
  }

  protected leave(failure: VoxwatchError | null): void {
    this.attempt?.send(JSON.stringify({ type: "close" }));
    this.connection.leave(failure !== null);
    this.release();
    if (failure) this.unsettle(failure);
    else this.settle(this.summary);
    this.end(failure);
    if (failure) this.emit("moved", undefined); // whoever leaves knows it
  }

  /** Let go of everything. */
  private release(): void {
    clearInterval(this.timer);
    this.offline();
    this.source?.stop();
    this.source = null;
    this.hangUp();
    for (const resolve of this.senders.splice(0)) resolve();
  }
}
