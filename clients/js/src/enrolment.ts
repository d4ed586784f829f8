/** One enrolment: a dropped connection ends it, because half a voiceprint is none. */

import { Attempt } from "./attempt.js";
import { Channel } from "./channel.js";
import { decode } from "./decode.js";
import { ConnectionFailed, ServerError, VoxwatchError } from "./errors.js";
import type { EnrolledAs, EnrollMessage, GivenConsent, Refused, StartEnroll } from "./messages.js";
import type { Fault } from "./microphone/recording.js";
import { serverOf, type Entrance, type SocketConstructor } from "./network.js";
import { Queue } from "./queue.js";
import { bytesOf, openSource, type Opened, type Pcm, type Source } from "./sound.js";

const FULL_BYTES = 1 << 18; // more than this waits in the socket
const EARLY = 100; // pieces of a microphone: 10 s
const LOOK_MS = 20; // a socket does not tell that it has room again
const USUAL_RATE_HZ = 16_000;

export interface EnrollOptions extends Omit<StartEnroll, "consent"> {
  /** The version of the text that the person agreed to, which `status` tells; with its hash, where
   * the wording may be another. */
  consent: string | Omit<GivenConsent, "given">;
  /** Left out: PCM is pushed by `send`. */
  source?: Source;
  worklet?: string | URL;
}

export interface EnrolmentEvents {
  sound: Int16Array<ArrayBuffer>;
  fault: Fault | null;
}

export class Enrolment extends Channel<EnrollMessage, EnrolmentEvents> {
  private attempt: Attempt | null = null;
  private source: Opened | null = null;
  private ready = false;
  private finished = false;
  private readonly early: Uint8Array<ArrayBuffer>[] = []; // heard before the server was ready
  private error: ServerError | null = null;
  private readonly pushed = new Queue();
  private start: StartEnroll;
  private readonly settled: Promise<EnrolledAs>;
  private settle: (done: EnrolledAs) => void = () => undefined;
  private unsettle: (failure: VoxwatchError) => void = () => undefined;

  constructor(
    private readonly options: EnrollOptions,
    private readonly entrance: Entrance,
    private readonly sockets: SocketConstructor,
  ) {
    super();
    const { source, worklet: _, consent, ...start } = options;
    const given = typeof consent === "string" ? { text_version: consent } : consent;
    const form = { encoding: "pcm_s16le" as const, sample_rate: USUAL_RATE_HZ };
    this.start = { ...form, ...start, consent: { given: true, ...given } };
    this.settled = new Promise((resolve, reject) => {
      this.settle = resolve;
      this.unsettle = reject;
    });
    this.settled.catch(() => undefined); // whoever waits for it is told
    if (source) void this.listen(source);
    else this.open();
  }

  /** Push sound. Waits while the network is slower. Rejects with the `failure`. */
  async send(pcm: Pcm): Promise<void> {
    const bytes = bytesOf(pcm, this.start.encoding ?? "pcm_s16le");
    if (bytes instanceof Uint8Array && !this.pushed.busy && !this.isFull) return this.take(bytes);
    return this.pushed.add(async () => this.sendLater(await bytes));
  }

  private async sendLater(bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    while (!this.over && this.isFull) await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    this.take(bytes);
  }

  private get isFull(): boolean {
    if (!this.ready) return this.early.length >= EARLY;
    return (this.attempt?.waiting ?? 0) > FULL_BYTES;
  }

  /**
   * No more sound follows, before or after there is enough. The promise is kept with who was
   * enrolled. It rejects with the `failure`: a `ServerError` with the code, where the server
   * refused the voice.
   */
  finalize(): Promise<EnrolledAs> {
    this.source?.stop();
    if (this.pushed.busy) void this.pushed.add(() => this.finish());
    else this.finish();
    return this.settled;
  }

  protected leave(failure: VoxwatchError | null): void {
    this.release();
    const left = new VoxwatchError("closed", "the enrolment was left: nothing was stored");
    this.unsettle(failure ?? left);
    this.end(failure);
  }

  private finish(): void {
    if (this.over || this.finished) return;
    this.finished = true;
    if (this.ready) this.say({ type: "finalize" });
  }

  private async listen(source: Source): Promise<void> {
    try {
      const opened = await openSource(source, this.options.worklet ?? null, {
        begin: (sample_rate) => {
          this.start = { ...this.start, sample_rate };
          this.open();
        },
        sound: (samples) => this.heard(samples),
        fault: (fault) => this.emit("fault", fault),
        rate: () =>
          this.failed(
            new VoxwatchError("bad-rate", "the microphone has another rate now: begin again"),
          ),
        end: (error) => (error ? this.failed(error) : void this.finalize()),
      });
      if (this.over) opened.stop();
      else this.source = opened;
    } catch (error) {
      if (!(error instanceof VoxwatchError)) throw error;
      this.failed(error);
    }
  }

  private heard(samples: Int16Array<ArrayBuffer>): void {
    if (this.over) return;
    this.emit("sound", samples);
    if (!this.isFull || this.ready) this.take(new Uint8Array(samples.buffer));
  }

  private take(bytes: Uint8Array<ArrayBuffer>): void {
    if (this.failure) throw this.failure;
    if (this.over || this.finished) return; // there is enough
    if (!this.ready) this.early.push(bytes);
    else this.attempt?.send(bytes);
  }

  private open(): void {
    if (this.over) return;
    const attempt = new Attempt(this.entrance, this.sockets, {
      opened: () => this.say({ type: "start", ...this.start }),
      received: (text) => this.told(text),
      closed: () => this.failed(this.error ?? lost(attempt.address)),
      failed: (why) => this.failed(why instanceof VoxwatchError ? why : lost(null)),
    });
    this.attempt = attempt;
  }

  private told(text: string): void {
    let message: EnrollMessage;
    try {
      message = decode<EnrollMessage>(text);
    } catch (error) {
      if (!(error instanceof VoxwatchError)) throw error;
      return this.failed(error);
    }
    if (message.type === "error") {
      this.error = new ServerError(message.code, message.message, message.retry_s ?? null);
    }
    if (message.type === "ready") this.begin();
    this.tell(message);
    if (message.type === "enrolled") this.done(message);
    if (message.type === "refused") this.refused(message);
  }

  private begin(): void {
    this.ready = true;
    for (const piece of this.early.splice(0)) this.attempt?.send(piece);
    if (this.finished) this.say({ type: "finalize" });
  }

  private done(message: EnrolledAs): void {
    this.release();
    this.settle(message);
    this.end(null);
  }

  /** That is an answer, and no failure of the connection: whoever reads has had it. */
  private refused({ code, message }: Refused): void {
    this.release();
    this.unsettle(new ServerError(code, message));
    this.end(null);
  }

  private failed(failure: VoxwatchError): void {
    if (!this.over) this.leave(failure);
  }

  private say(message: object): void {
    this.attempt?.send(JSON.stringify(message));
  }

  private release(): void {
    this.source?.stop();
    this.source = null;
    this.attempt?.close();
    this.attempt = null;
  }
}

function lost(address: string | null): ConnectionFailed {
  const server = address === null ? "the server" : serverOf(address);
  return new ConnectionFailed(
    `the connection to ${server} was lost, and half an enrolment is not kept: begin again`,
  );
}
