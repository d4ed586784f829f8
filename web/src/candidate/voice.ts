/** The step of enrolment: a candidate reads aloud, once. */

import { el, show } from "../dom";
import { Ring } from "../icons";
import {
  Microphone,
  MicrophoneError,
  ServerError,
  type EnrollMessage,
  type Enrolment,
  type Fault,
  type Progress,
  type Voxwatch,
} from "voxwatch-client";
import type { Devices } from "../microphone/devices";
import { updateMeter } from "../views/sound";
import { peaksOf } from "../waveform";
import { problemsWords } from "./hearing";
import { amount, fill, tell, type Say } from "./language";
import { complain } from "./screens";
import type { Consent } from "./server";

export interface VoiceActions {
  voxwatch(): Voxwatch;
  /** What was agreed to, as it was shown. */
  consent(): Consent;
  done(): void;
}

export class Voice {
  private readonly ring = new Ring();
  private microphone: Microphone | null = null;
  private stream: Enrolment | null = null;
  private attempt = 0;

  constructor(
    private readonly actions: VoiceActions,
    private readonly devices: Devices,
  ) {
    el("voice-ring").append(this.ring.element);
    el("voice-go").onclick = () => void this.start();
    this.reset();
  }

  reset(): void {
    this.stop();
    this.ring.update(0, "0 %");
    tell(el("voice-progress"), (w) => w.voice.takes);
    tell(el("voice-advice"), null);
    show(el("voice-go"), true);
  }

  stop(): void {
    this.attempt += 1;
    this.stream?.close();
    this.stream = null;
    this.microphone?.stop();
    this.microphone = null;
    updateMeter(el("voice-level"), 0);
  }

  private async start(): Promise<void> {
    this.stop();
    complain(null);
    const { attempt } = this;
    try {
      const microphone = await Microphone.open({
        device: this.devices.chosen,
        onSound: (samples) => this.heard(samples),
        onFault: (fault) => this.interrupted(fault),
        onRate: () => this.failed((w) => w.voice.rate),
        onEnd: (problem) => this.failed((w) => w.microphone[problem]),
      });
      if (attempt !== this.attempt) return microphone.stop();
      this.microphone = microphone;
    } catch (error) {
      const problem = error instanceof MicrophoneError ? error.problem : "unsupported";
      return this.failed((w) => w.microphone[problem]);
    }
    show(el("voice-go"), false);
    tell(el("voice-progress"), (w) => w.voice.listening);
    this.open(this.microphone.sampleRate);
  }

  private open(sample_rate: number): void {
    const { text_version, text_sha256, language } = this.actions.consent();
    const consent = { text_version, text_sha256, language };
    const stream = this.actions.voxwatch().enroll({ name: "", consent, add: false, sample_rate });
    stream.on("message", (message) => this.told(message));
    stream.on("failed", (error) =>
      this.failed(error instanceof ServerError ? serverWords(error.code) : (w) => w.voice.lost),
    );
    this.stream = stream;
  }

  private heard(samples: Int16Array<ArrayBuffer>): void {
    updateMeter(el("voice-level"), peaksOf(samples, samples.length)[0] ?? 0);
    void this.stream?.send(samples);
  }

  private interrupted(fault: Fault | null): void {
    updateMeter(el("voice-level"), 0);
    tell(el("voice-advice"), fault && ((w) => `${w.faultTitle[fault]}. ${w.faultAdvice[fault]}`));
  }

  private told(message: EnrollMessage): void {
    switch (message.type) {
      case "progress":
        return this.progress(message);
      case "enrolled":
        this.stop();
        return this.actions.done();
      case "refused":
        return this.failed(refusalWords(message.code));
    }
  }

  private progress(message: Progress): void {
    this.ring.update(message.percent / 100, `${message.percent} %`);
    // A few steps only: a screen reader is not to talk over the one who reads aloud.
    const step = STEPS[Math.min(3, Math.floor(message.percent / 25))]!;
    tell(el("voice-progress"), (w) => w.voice[step]);
    const missing = message.needed_s - message.net_speech_s;
    tell(el("voice-advice"), (w) => {
      return problemsWords(w, message.problems) || fill(w.voice.more, { time: amount(missing) });
    });
  }

  private failed(why: Say): void {
    this.reset();
    complain(why);
  }
}

const STEPS = ["begin", "onward", "half", "almost"] as const;

function serverWords(code: string): Say {
  return (w) => {
    const known: Record<string, string> = w.server;
    return known[code] ?? fill(w.server.other, { code });
  };
}

function refusalWords(code: string): Say {
  return (w) => {
    const titles: Record<string, string> = w.refusalTitle;
    const advice: Record<string, string> = w.refusalAdvice;
    const known = code in titles ? code : "other";
    return `${titles[known]}. ${w.voice.nothing} ${advice[known]}`;
  };
}
