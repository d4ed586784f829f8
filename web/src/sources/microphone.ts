/** The browser's own microphone, sent to the server and shown. */

import type { Link } from "../headline";
import type { Source, Transport } from "../source";
import { OwnStream, type Address } from "../live";
import { MicrophoneError, openMicrophone, type Microphone } from "../microphone";
import { advance, reduce, restarted } from "../state";
import { emptyView, type View } from "../view";
import { peaksOf, STEP_S, Waveform } from "../waveform";
import type { Message } from "../wire";
import { microphoneProblem, serverProblem } from "../words";

export interface MicrophoneOptions {
  address: Address;
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
  private readonly stream: OwnStream;
  private readonly step: number;
  private latency_s: number | null = null;

  /** The source, or why there is none, in words. */
  static async open(options: MicrophoneOptions): Promise<MicrophoneSource | string> {
    let source: MicrophoneSource | null = null;
    try {
      const microphone = await openMicrophone(
        (samples) => source?.heard(samples),
        (problem) => {
          options.problem(microphoneProblem(problem));
          source?.stop();
        },
      );
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
    const target = options.falseAccept;
    this.stream = new OwnStream(
      {
        sample_rate: sampleRate,
        claim: options.claim,
        label: "Browser microphone",
        ...(target === null ? {} : { false_accept: target }),
      },
      options.address,
      {
        message: (message) => this.told(message),
        begin: (kept_s) => this.begin(kept_s),
        lost: (lost_s, ago_s) => {
          this.waveform.cut(ago_s, lost_s);
          this.view = { ...this.view, media: this.waveform.end_s };
        },
        moved: () => options.changed(),
      },
    );
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
      kept_s: connection.unsent_s,
      problem: serverProblem(connection.error),
    };
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
    this.stream.finish();
  }

  leave(): void {
    this.microphone.stop();
    this.stream.abandon();
  }

  private heard(samples: Int16Array<ArrayBuffer>): void {
    const peaks = peaksOf(samples, this.step);
    this.waveform.push(peaks);
    this.peak = Math.max(...peaks);
    this.stream.sound(samples);
    this.view = advance(this.view, this.stream.connection.made_s);
    if (this.stream.connection.phase === "failed") this.microphone.stop();
  }

  private begin(kept_s: number): void {
    const again = this.view.stream !== "";
    this.waveform.restart(kept_s);
    this.view = again ? restarted(this.view, kept_s) : { ...emptyView(), media: kept_s };
  }

  private told(message: Message): void {
    if (message.type === "score") {
      this.latency_s = Math.max(0, this.stream.connection.made_s - message.t);
    }
    this.view = reduce(this.view, message);
  }
}

