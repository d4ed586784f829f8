/** The exam itself: the microphone goes to the server, through sleep, network loss and new devices. */

import {
  Microphone,
  now,
  RateCheck,
  type Fault,
  type MicrophoneProblem,
  type Quality,
  type Stream,
  type StreamConnection,
  type StreamMessage,
  type Voxwatch,
} from "voxwatch-client";
import { peaksOf } from "../waveform";
import { Deadness, type Situation } from "./hearing";

export interface ListeningActions {
  voxwatch: Voxwatch;
  /** Something is another. */
  changed(): void;
  /** The stream is over: the server ended it, with the code of an error or without. */
  ended(code: string): void;
  /** The microphone is over, and trying again would not help. */
  lostMicrophone(problem: MicrophoneProblem): void;
}

export class Listening {
  /** 0..127, of the last piece. */
  peak = 0;
  /** The server says that it ends soon. */
  endsSoon = false;
  private fault: Fault | null = null;
  private readonly deadness = new Deadness();
  private quality: Quality | null = null;
  private stream: Stream;
  private readonly rates = new RateCheck();
  private over = false;
  private lock: WakeLockSentinel | null = null;
  private readonly seen = (): void => this.awoke();

  /** Rejects with a `MicrophoneError`. */
  static async open(device: string | null, actions: ListeningActions): Promise<Listening> {
    let listening: Listening | null = null;
    const microphone = await Microphone.open({
      device,
      onSound: (samples) => listening?.heard(samples),
      onFault: (fault) => listening?.faulted(fault),
      onRate: (sampleRate) => listening?.stream.retune(sampleRate),
      onEnd: (problem) => {
        listening?.stop();
        actions.lostMicrophone(problem);
      },
    });
    listening = new Listening(microphone, actions);
    return listening;
  }

  private constructor(
    private readonly microphone: Microphone,
    private readonly actions: ListeningActions,
  ) {
    this.stream = this.begin();
    document.addEventListener("visibilitychange", this.seen);
    window.addEventListener("pageshow", this.seen);
    window.addEventListener("offline", this.seen);
    void this.keepAwake();
  }

  situation(): Situation {
    const { connection } = this.stream;
    return {
      phase: connection.phase,
      tries: connection.tries,
      fault: this.fault,
      dead: this.deadness.dead,
      online: navigator.onLine,
      unsent_s: connection.unsent_s,
      kept_s: connection.kept_s,
      unanswered_s: connection.unanswered_s,
      lost_s: connection.lost_s,
      quality: this.quality,
    };
  }

  choose(device: string | null): void {
    this.deadness.forget();
    this.microphone.choose(device);
  }

  /** The server is known to be back: do not wait for the next try. */
  hurry(): void {
    this.stream.hurry();
  }

  /** The candidate has finished: what was said is still judged. */
  finish(): void {
    this.release();
    void this.stream.finalize();
  }

  /** At once. */
  stop(): void {
    this.release();
    this.stream.close();
  }

  private release(): void {
    this.over = true;
    this.microphone.stop();
    this.peak = 0;
    document.removeEventListener("visibilitychange", this.seen);
    window.removeEventListener("pageshow", this.seen);
    window.removeEventListener("offline", this.seen);
    void this.lock?.release();
    this.lock = null;
  }

  private begin(): Stream {
    const stream = this.actions.voxwatch.stream({
      sample_rate: this.microphone.sampleRate,
      overflow: "drop",
      patience_s: Infinity,
    });
    stream.on("message", (message) => this.told(message));
    stream.on("moved", () => queueMicrotask(() => this.moved()));
    return stream;
  }

  private moved(): void {
    const { connection } = this.stream;
    if (!this.over && (connection.phase === "failed" || connection.phase === "ended")) {
      return this.closed(connection);
    }
    this.actions.changed();
  }

  private closed(connection: StreamConnection): void {
    const code = connection.error?.code ?? "";
    this.stream.close();
    if (code === "stream-too-long") {
      this.endsSoon = false;
      this.stream = this.begin(); // the exam is longer than one stream may be: another follows
      return;
    }
    this.release();
    this.actions.ended(code);
  }

  private heard(samples: Int16Array<ArrayBuffer>): void {
    this.deadness.hear(samples);
    this.peak = peaksOf(samples, samples.length)[0] ?? 0;
    if (!this.stream.over) void this.stream.send(samples);
  }

  private faulted(fault: Fault | null): void {
    this.fault = fault;
    this.peak = 0;
    this.deadness.forget();
    this.actions.changed();
  }

  private told(message: StreamMessage): void {
    switch (message.type) {
      case "quality":
        this.quality = message;
        // A headset that changes its rate in mid-stream sounds wrong until it is opened anew.
        if (this.rates.isWrong(message, now())) this.microphone.reopen();
        return;
      case "error":
        if (message.code === "stream-ends-soon") this.endsSoon = true;
        if (message.code === "exam-ended" || message.code === "link-expired") this.end(message.code);
        return;
    }
  }

  private end(code: string): void {
    if (this.over) return;
    this.release();
    void this.stream.finalize();
    this.actions.ended(code);
  }

  private awoke(): void {
    if (document.visibilityState === "visible") {
      this.stream.hurry();
      void this.keepAwake();
    }
    this.actions.changed();
  }

  /** While the page is seen the screen stays on, where the browser can do that. */
  private async keepAwake(): Promise<void> {
    if (this.lock && !this.lock.released) return;
    try {
      const lock = await navigator.wakeLock?.request("screen");
      if (this.over) await lock?.release();
      else this.lock = lock ?? null;
    } catch {
      // Not allowed, as on little battery: the sound goes on when the device is awake again.
    }
  }
}
