/** The step of the microphone: chosen, and tried, before it is used. */

import { el, h, say, show } from "../dom";
import { icon } from "../icons";
import type { Devices } from "../microphone/devices";
import { Microphone, MicrophoneError } from "voxwatch-client";
import { updateMeter } from "../views/sound";
import { peaksOf } from "../waveform";
import { faultWords, microphoneProblem } from "../words";
import { bindChoice } from "./microphones";
import { complain } from "./screens";
import { MicrophoneTrial } from "./trial";

export class TryMicrophone {
  private microphone: Microphone | null = null;
  private trial: MicrophoneTrial | null = null;
  private attempt = 0; // of opening: what came too late is dropped

  constructor(
    private readonly devices: Devices,
    goOn: () => void,
  ) {
    bindChoice("device", devices, (device) => {
      this.microphone?.choose(device);
      if (this.trial) this.begin();
    });
    el("try").onclick = () => void this.start();
    el("mic-go").onclick = () => {
      this.stop();
      goOn();
    };
    this.reset();
  }

  reset(): void {
    this.stop();
    say(el("try-words"), "The test takes ten seconds: first silence, then a sentence of yours.");
    say(el("try-name"), "Test the microphone");
    el("try-found").replaceChildren();
    show(el("mic-go"), false);
    this.emphasise(false);
  }

  stop(): void {
    this.attempt += 1;
    this.microphone?.stop();
    this.microphone = null;
    this.trial = null;
    updateMeter(el("level"), 0);
  }

  private async start(): Promise<void> {
    this.stop();
    complain("");
    const { attempt } = this;
    try {
      const microphone = await Microphone.open({
        device: this.devices.chosen,
        onSound: (samples) => this.heard(samples),
        onFault: (fault) => fault && say(el("try-words"), faultWords(fault).title),
        onEnd: (problem) => this.refused(microphoneProblem(problem)),
      });
      if (attempt !== this.attempt) return microphone.stop();
      this.microphone = microphone;
      this.begin();
      await this.devices.refresh(); // which tells their names from now on
    } catch (error) {
      this.refused(microphoneProblem(error instanceof MicrophoneError ? error.problem : "unsupported"));
    }
  }

  private begin(): void {
    this.trial = new MicrophoneTrial();
    el("try-found").replaceChildren();
    show(el("mic-go"), false);
    say(el("try-name"), "Begin the test anew");
    this.emphasise(true);
  }

  private heard(samples: Int16Array<ArrayBuffer>): void {
    updateMeter(el("level"), peaksOf(samples, samples.length)[0] ?? 0);
    const { trial } = this;
    if (!trial || trial.phase === "done") return;
    switch (trial.hear(samples)) {
      case "quiet":
        return say(el("try-words"), `Be quiet, please: ${trial.left_s}`);
      case "speak":
        return say(el("try-words"), "Now say a sentence, as you would in the exam.");
      case "done":
        return this.finish(trial);
    }
  }

  private finish(trial: MicrophoneTrial): void {
    const findings = trial.findings().map(({ good, words }) => {
      const mark = icon(good ? "check" : "alert") as unknown as HTMLElement;
      return h("li", { "data-light": good ? "good" : "bad" }, mark, words);
    });
    el("try-found").replaceChildren(...findings);
    say(el("try-words"), trial.good ? "Your microphone is good." : "This can be better:");
    say(el("try-name"), "Test again");
    say(el("mic-go"), trial.good ? "Go on" : "Go on as it is");
    show(el("mic-go"), true);
    this.emphasise(trial.good);
    if (trial.good) el("mic-go").focus();
  }

  /** The button that most people want next is the one that stands out. */
  private emphasise(onward: boolean): void {
    el("try").classList.toggle("primary", !onward);
    el("mic-go").classList.toggle("primary", onward);
  }

  private refused(words: string): void {
    this.reset();
    complain(words);
  }
}
