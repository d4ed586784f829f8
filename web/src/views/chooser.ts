/** The choice of the microphone, and a meter that shows before the start what it hears. */

import { el, h, say, show } from "../dom";
import { icon } from "../icons";
import type { Devices } from "../microphone/devices";
import { Microphone, MicrophoneError } from "voxwatch-client";
import { levelWords } from "../levels";
import { peaksOf } from "../waveform";
import { faultWords, microphoneProblem } from "../microphone/words";
import { updateMeter } from "./sound";

const REMEMBERED = 30; // pieces of 100 ms: words about the level hold for a sentence

export class Chooser {
  private readonly select: HTMLSelectElement;
  private readonly button: HTMLButtonElement;
  private readonly buttonWords = h("span");
  private readonly trial = h("div", { class: "trial", hidden: "" });
  private readonly bar = h("div");
  private readonly words = h("p", { class: "quiet", role: "status" });
  private microphone: Microphone | null = null;
  private attempt = 0; // of opening: what came too late is dropped
  private peaks: number[] = [];
  private drawn = "";

  /** `place` is an empty element; `begin`: the microphone is wanted here. */
  constructor(
    place: string,
    private readonly devices: Devices,
    private readonly begin: () => void,
  ) {
    const id = `${place}-device`;
    this.select = h("select", { id });
    this.button = h("button", { type: "button", class: "small" });
    this.button.append(icon("ear"), this.buttonWords);
    this.trial.append(h("div", { class: "meter" }, this.bar), this.words);
    const row = h("div", { class: "choice" }, this.select, this.button);
    el(place).replaceChildren(h("label", { class: "field", for: id }, "Microphone"), row, this.trial);
    this.select.onchange = () => devices.choose(this.select.value || null);
    this.button.onclick = () => (this.trying ? this.stop() : void this.start());
    devices.onChange(() => this.update());
    this.update();
  }

  /** Let go of the microphone, as when it is wanted elsewhere. */
  stop(): void {
    this.attempt += 1;
    this.microphone?.stop();
    this.microphone = null;
    this.update();
  }

  private get trying(): boolean {
    return this.microphone !== null;
  }

  private async start(): Promise<void> {
    this.begin();
    this.attempt += 1;
    const attempt = this.attempt;
    this.peaks = [];
    try {
      const microphone = await Microphone.open({
        device: this.devices.chosen,
        onSound: (samples) => this.heard(samples),
        onFault: (fault) => fault && this.quiet(faultWords(fault).title),
        onEnd: (problem) => this.refused(microphoneProblem(problem)),
      });
      if (attempt !== this.attempt) return microphone.stop();
      this.microphone = microphone;
      await this.devices.refresh(); // which tells their names from now on
    } catch (error) {
      this.refused(microphoneProblem(error instanceof MicrophoneError ? error.problem : "unsupported"));
    }
  }

  private heard(samples: Int16Array<ArrayBuffer>): void {
    const peak = peaksOf(samples, samples.length)[0] ?? 0;
    this.peaks = [...this.peaks, peak].slice(-REMEMBERED);
    updateMeter(this.bar, peak);
    say(this.words, levelWords(Math.max(...this.peaks)));
  }

  private quiet(words: string): void {
    updateMeter(this.bar, 0);
    say(this.words, words);
  }

  private refused(words: string): void {
    this.stop();
    show(this.trial, true);
    this.quiet(words);
  }

  private update(): void {
    const { choices, chosen } = this.devices;
    const key = JSON.stringify(choices);
    if (key !== this.drawn) {
      this.drawn = key;
      const options = choices.map(({ id, label }) => h("option", { value: id ?? "" }, label));
      this.select.replaceChildren(...options);
    }
    const there = choices.some(({ id }) => id === chosen);
    this.select.value = there ? (chosen ?? "") : "";
    say(this.buttonWords, this.trying ? "Stop" : "Try it");
    this.button.setAttribute("aria-pressed", String(this.trying));
    this.microphone?.choose(chosen);
    show(this.trial, this.trying);
    if (!this.trying) say(this.words, "Say a sentence.");
  }
}
