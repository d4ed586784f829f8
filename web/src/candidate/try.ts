/** The step of the microphone: chosen, and tried, before it is used. */

import { el, h, show } from "../dom";
import { icon } from "../icons";
import type { Devices } from "../microphone/devices";
import { Microphone, MicrophoneError } from "voxwatch-client";
import { updateMeter } from "../views/sound";
import { peaksOf } from "../waveform";
import { fill, tell, type Say } from "./language";
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
    tell(el("try-words"), (w) => w.mic.intro);
    tell(el("try-name"), (w) => w.mic.test);
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
    complain(null);
    const { attempt } = this;
    try {
      const microphone = await Microphone.open({
        device: this.devices.chosen,
        onSound: (samples) => this.heard(samples),
        onFault: (fault) => fault && tell(el("try-words"), (w) => w.faultTitle[fault]),
        onEnd: (problem) => this.refused((w) => w.microphone[problem]),
      });
      if (attempt !== this.attempt) return microphone.stop();
      this.microphone = microphone;
      this.begin();
      await this.devices.refresh(); // which tells their names from now on
    } catch (error) {
      const problem = error instanceof MicrophoneError ? error.problem : "unsupported";
      this.refused((w) => w.microphone[problem]);
    }
  }

  private begin(): void {
    this.trial = new MicrophoneTrial();
    el("try-found").replaceChildren();
    show(el("mic-go"), false);
    tell(el("try-name"), (w) => w.mic.anew);
    this.emphasise(true);
  }

  private heard(samples: Int16Array<ArrayBuffer>): void {
    updateMeter(el("level"), peaksOf(samples, samples.length)[0] ?? 0);
    const { trial } = this;
    if (!trial || trial.phase === "done") return;
    switch (trial.hear(samples)) {
      case "quiet": {
        const seconds = String(trial.left_s);
        return tell(el("try-words"), (w) => fill(w.mic.quiet, { seconds }));
      }
      case "speak":
        return tell(el("try-words"), (w) => w.mic.speak);
      case "done":
        return this.finish(trial);
    }
  }

  private finish(trial: MicrophoneTrial): void {
    const { good: allGood } = trial;
    const findings = trial.findings().map(({ good, what }) => {
      const mark = icon(good ? "check" : "alert") as unknown as HTMLElement;
      const words = h("span");
      tell(words, (w) => w.trial[what]);
      return h("li", { "data-light": good ? "good" : "bad" }, mark, words);
    });
    el("try-found").replaceChildren(...findings);
    tell(el("try-words"), (w) => (allGood ? w.mic.good : w.mic.better));
    tell(el("try-name"), (w) => w.mic.again);
    tell(el("mic-go"), (w) => (allGood ? w.mic.go : w.mic.asItIs));
    show(el("mic-go"), true);
    this.emphasise(trial.good);
    if (trial.good) el("mic-go").focus();
  }

  /** The button that most people want next is the one that stands out. */
  private emphasise(onward: boolean): void {
    el("try").classList.toggle("primary", !onward);
    el("mic-go").classList.toggle("primary", onward);
  }

  private refused(why: Say): void {
    this.reset();
    complain(why);
  }
}
