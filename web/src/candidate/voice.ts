/** The step of enrolment: a candidate reads aloud, once. */

import { el, say, show } from "../dom";
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
import { PROMPT } from "../views/prompt";
import { peaksOf } from "../waveform";
import { duration, faultWords, microphoneProblem, problemWords, refusal, serverProblem } from "../words";
import { complain } from "./screens";
import type { Consent } from "./server";

export interface VoiceActions {
  voxwatch(): Voxwatch;
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
    say(el("voice-prompt"), PROMPT);
    el("voice-go").onclick = () => void this.start();
    this.reset();
  }

  reset(): void {
    this.stop();
    this.ring.update(0, "0 %");
    say(el("voice-progress"), "It takes some twenty seconds.");
    say(el("voice-advice"), "");
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
    complain("");
    const { attempt } = this;
    try {
      const microphone = await Microphone.open({
        device: this.devices.chosen,
        onSound: (samples) => this.heard(samples),
        onFault: (fault) => this.interrupted(fault),
        onRate: () => this.failed("The microphone has another rate now. Read once more."),
        onEnd: (problem) => this.failed(microphoneProblem(problem)),
      });
      if (attempt !== this.attempt) return microphone.stop();
      this.microphone = microphone;
    } catch (error) {
      const problem = error instanceof MicrophoneError ? error.problem : "unsupported";
      return this.failed(microphoneProblem(problem));
    }
    show(el("voice-go"), false);
    say(el("voice-progress"), "Listening. Start to read.");
    this.open(this.microphone.sampleRate);
  }

  private open(sample_rate: number): void {
    const { text_version, text_sha256 } = this.actions.consent();
    const consent = { text_version, text_sha256 };
    const stream = this.actions.voxwatch().enroll({ name: "", consent, add: false, sample_rate });
    stream.on("message", (message) => this.told(message));
    stream.on("failed", (error) =>
      this.failed(
        error instanceof ServerError
          ? serverProblem(error)
          : "The connection was lost, and half a reading is not kept. Read once more.",
      ),
    );
    this.stream = stream;
  }

  private heard(samples: Int16Array<ArrayBuffer>): void {
    updateMeter(el("voice-level"), peaksOf(samples, samples.length)[0] ?? 0);
    void this.stream?.send(samples);
  }

  private interrupted(fault: Fault | null): void {
    updateMeter(el("voice-level"), 0);
    say(el("voice-advice"), fault ? `${faultWords(fault).title}. ${faultWords(fault).advice}` : "");
  }

  private told(message: EnrollMessage): void {
    switch (message.type) {
      case "progress":
        return this.progress(message);
      case "enrolled":
        this.stop();
        return this.actions.done();
      case "refused": {
        const { title, advice } = refusal(message.code, message.message, false);
        return this.failed(`${title}. Nothing was stored. ${advice}`);
      }
    }
  }

  private progress(message: Progress): void {
    this.ring.update(message.percent / 100, `${message.percent} %`);
    // A few steps only: a screen reader is not to talk over the one who reads aloud.
    const steps = ["Start to read.", "Keep on reading.", "Half of it is done.", "Almost there."];
    say(el("voice-progress"), steps[Math.min(3, Math.floor(message.percent / 25))] ?? "");
    const missing = Math.max(0, message.needed_s - message.net_speech_s);
    const advice = message.problems.map((problem) => problemWords(problem).advice).join(" ");
    say(el("voice-advice"), advice || `${duration(missing)} more of speech`);
  }

  private failed(words: string): void {
    this.reset();
    complain(words);
  }
}
