/** The browser's own microphone, sent to the server and shown. */

import type { Link } from "../headline";
import type { Source, Transport } from "../source";
import {
  Microphone,
  MicrophoneError,
  now,
  RateCheck,
  type Fault,
  type Stream,
  type StreamMessage,
  type Voxwatch,
  type Why,
} from "voxwatch-client";
import { advance, interrupted, reduce, restarted } from "../state";
import { emptyView, type View } from "../view";
import { peaksOf, STEP_S, Waveform } from "../waveform";
import { faultWords, microphoneProblem } from "../microphone/words";
import { serverProblem } from "../words";

export interface MicrophoneOptions {
  voxwatch: Voxwatch;
  /** Null: the browser's default. */
  device: string | null;
  claim: string[];
  /** Null: as the server is set up. */
  falseAccept: number | null;
  changed(): void;
  problem(words: string): void;
}

export class MicrophoneSource implements Source {
  readonly kind = "microphone";
  readonly waveform = new Waveform();
  view: View = emptyView();
  peak = 0;
  private readonly stream: Stream;
  private step: number;
  private fault: { fault: Fault; since: number } | null = null;
  private latency_s: number | null = null;
  private readonly rates = new RateCheck();
  private readonly changed: () => void;

  /** The source, or why there is none, in words. */
  static async open(options: MicrophoneOptions): Promise<MicrophoneSource | string> {
    let source: MicrophoneSource | null = null;
    try {
      const microphone = await Microphone.open({
        device: options.device,
        onSound: (samples) => source?.heard(samples),
        onFault: (fault) => source?.interrupted(fault),
        onRate: (sampleRate) => source?.retune(sampleRate),
        onEnd: (problem) => {
          options.problem(microphoneProblem(problem));
          source?.stop();
        },
      });
      source = new MicrophoneSource(microphone, options);
      return source;
    } catch (error) {
      return microphoneProblem(error instanceof MicrophoneError ? error.problem : "unsupported");
    }
  }

  private constructor(
    private readonly microphone: Microphone,
    options: MicrophoneOptions,
  ) {
    const { sampleRate } = microphone;
    this.step = Math.round(sampleRate * STEP_S);
    this.changed = () => options.changed();
    const target = options.falseAccept;
    this.stream = options.voxwatch.stream({
      sample_rate: sampleRate,
      claim: options.claim,
      label: "Browser microphone",
      ...(target === null ? {} : { false_accept: target }),
      overflow: "drop",
      patience_s: Infinity,
    });
    this.stream.on("message", (message) => this.told(message));
    this.stream.on("begin", ({ kept_s, why }) => this.begin(kept_s, why));
    this.stream.on("lost", ({ lost_s, ago_s }) => {
      this.waveform.cut(ago_s, lost_s);
      this.view = { ...this.view, media: this.waveform.end_s };
    });
    this.stream.on("moved", () => this.changed());
  }

  get label(): string {
    return this.microphone.label;
  }

  get transport(): Transport {
    const { connection } = this.stream;
    return {
      latency_s: this.latency_s,
      unsent_s: connection.unsent_s,
      lost_s: connection.lost_s,
      reconnects: connection.reconnects,
      restarts: connection.restarts,
      sampleRate: this.microphone.sampleRate,
    };
  }

  link(at: number): Link {
    const { connection } = this.stream;
    return {
      source: "microphone",
      phase: connection.phase,
      retryIn_s: Math.max(0, connection.retryAt - at),
      tries: connection.tries,
      kept_s: connection.kept_s,
      problem: serverProblem(connection.error),
      interruption: this.fault && faultWords(this.fault.fault),
    };
  }

  choose(device: string | null): void {
    this.microphone.choose(device);
  }

  configure(change: { claim?: string[]; false_accept?: number }): void {
    this.stream.configure(change);
  }

  hurry(): void {
    this.stream.hurry();
  }

  stop(): void {
    this.microphone.stop();
    this.peak = 0;
    void this.stream.finalize();
  }

  leave(): void {
    this.microphone.stop();
    this.stream.close();
  }

  private heard(samples: Int16Array<ArrayBuffer>): void {
    if (this.stream.over) return this.microphone.stop();
    const peaks = peaksOf(samples, this.step);
    this.waveform.push(peaks);
    this.peak = Math.max(...peaks);
    void this.stream.send(samples);
    this.view = advance(this.view, this.stream.connection.made_s);
  }

  private interrupted(fault: Fault | null): void {
    const at = now();
    const before = this.fault;
    this.peak = 0;
    this.fault = fault && { fault, since: before?.since ?? at };
    if (before && !fault) this.view = interrupted(this.view, before.fault, at - before.since);
    this.changed();
  }

  private retune(sampleRate: number): void {
    this.step = Math.round(sampleRate * STEP_S);
    this.stream.retune(sampleRate);
  }

  private begin(kept_s: number, why: Why): void {
    const again = this.view.stream !== "";
    this.waveform.restart(kept_s);
    this.view = again ? restarted(this.view, kept_s, why) : { ...emptyView(), media: kept_s };
  }

  private told(message: StreamMessage): void {
    if (message.type === "score") {
      this.latency_s = Math.max(0, this.stream.connection.made_s - message.t);
    }
    // A headset that changes its rate in mid-stream sounds wrong until it is opened anew.
    if (message.type === "quality" && this.rates.isWrong(message, now())) this.microphone.reopen();
    this.view = reduce(this.view, message);
  }
}

