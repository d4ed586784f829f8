/** The exam itself: the microphone goes to the server, through sleep, network loss and new devices. */

import type { StreamConnection } from "../connection";
import { now, OwnStream, type Address } from "../live";
import { Microphone } from "../microphone/microphone";
import type { Fault, MicrophoneProblem } from "../microphone/recording";
import { peaksOf } from "../waveform";
import type { Message, Quality } from "../wire";
import { Deadness, type Situation } from "./hearing";

const REOPEN_S = 60; // where opening a microphone anew did not help it is not tried again at once

export interface ListeningActions {
  address: Address;
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
  /** The server says that it ends soon, in its words. */
  warning = "";
  private fault: Fault | null = null;
  private readonly deadness = new Deadness();
  private quality: Quality | null = null;
  private stream: OwnStream;
  private reopened = -Infinity;
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
      fault: this.fault,
      dead: this.deadness.dead,
      online: navigator.onLine,
      unsent_s: connection.unsent_s,
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
    this.stream.finish();
  }

  /** At once. */
  stop(): void {
    this.release();
    this.stream.abandon();
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

  private begin(): OwnStream {
    const { sampleRate } = this.microphone;
    const start = { sample_rate: sampleRate, claim: [] };
    return new OwnStream(start, this.actions.address, {
      message: (message) => this.told(message),
      begin: () => undefined,
      lost: () => undefined,
      moved: () => queueMicrotask(() => this.moved()),
    });
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
    this.stream.abandon();
    if (code === "stream-too-long") {
      this.warning = "";
      this.stream = this.begin(); // the exam is longer than one stream may be: another follows
      return;
    }
    this.release();
    this.actions.ended(code);
  }

  private heard(samples: Int16Array<ArrayBuffer>): void {
    this.deadness.hear(samples);
    this.peak = peaksOf(samples, samples.length)[0] ?? 0;
    this.stream.sound(samples);
  }

  private faulted(fault: Fault | null): void {
    this.fault = fault;
    this.peak = 0;
    this.deadness.forget();
    this.actions.changed();
  }

  private told(message: Message): void {
    switch (message.type) {
      case "quality":
        this.quality = message;
        return this.checkRate(message);
      case "error":
        if (message.code === "stream-ends-soon") this.warning = message.message;
        if (message.code === "exam-ended") this.end(message.code);
        return;
      case "summary":
        return this.end("exam-ended");
    }
  }

  private end(code: string): void {
    if (this.over) return;
    this.release();
    this.stream.finish();
    this.actions.ended(code);
  }

  /** A headset that changes its rate in mid-stream sounds wrong until it is opened anew. */
  private checkRate({ problems }: Quality): void {
    if (!problems.includes("rate-suspect") || now() - this.reopened < REOPEN_S) return;
    this.reopened = now();
    this.microphone.reopen();
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
