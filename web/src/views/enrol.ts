/** Guided enrolment: who and with what consent, reading aloud, the result. */

import {
  Microphone,
  MicrophoneError,
  ServerError,
  type EnrollMessage,
  type EnrolledAs,
  type Enrolment,
  type Fault,
  type Profile,
  type Progress,
  type Refused,
  type Status,
  type Voxwatch,
} from "voxwatch-client";
import { el, prose, say, show } from "../dom";
import { icon, Ring } from "../icons";
import type { Devices } from "../microphone/devices";
import { peaksOf } from "../waveform";
import { faultWords, microphoneProblem } from "../microphone/words";
import { duration, likeWords, problemWords, refusal, serverProblem } from "../words";
import { Chooser } from "./chooser";
import { PROMPT } from "./prompt";
import { updateMeter } from "./sound";

export interface EnrolActions {
  voxwatch: Voxwatch;
  status(): Status | null;
  profiles(): readonly Profile[];
  /** The microphone is needed here. */
  begin(): void;
  done(name: string): void;
  verify(name: string): void;
}

type Pane = "form" | "recording" | "result";

export class Enrol {
  private readonly dialog = el<HTMLDialogElement>("enrol");
  private readonly name = el<HTMLInputElement>("enrol-name");
  private readonly consent = el<HTMLInputElement>("enrol-consent");
  private readonly ring = new Ring();
  private microphone: Microphone | null = null;
  private stream: Enrolment | null = null;
  private attempt = 0; // of opening the microphone: what a closed dialog asked for is dropped
  private least_s = 10;
  private added = false; // to what is enrolled under the name
  private enrolled = "";

  private readonly chooser: Chooser;

  constructor(
    private readonly actions: EnrolActions,
    private readonly devices: Devices,
  ) {
    this.chooser = new Chooser("enrol-microphone", devices, () => actions.begin());
    el("enrol-ring").append(this.ring.element);
    say(el("enrol-prompt"), PROMPT);
    el("enrol-form").onsubmit = (event) => {
      event.preventDefault();
      void this.start();
    };
    this.name.oninput = () => this.noteName();
    el("enrol-finish").onclick = () => void this.stream?.finalize();
    el("enrol-again").onclick = () => this.pane("form");
    el("enrol-verify").onclick = () => {
      this.dialog.close();
      this.actions.verify(this.enrolled);
    };
    this.dialog.onclose = () => this.stop();
  }

  open(): void {
    if (this.dialog.open) return;
    const consent = this.actions.status()?.consent;
    const text = consent?.text ?? "The server has not told its consent text yet.";
    const kept = (consent?.kept ?? []).map(([what, howLong]) => `${what}: ${howLong}.`);
    el("consent-text").replaceChildren(...prose([text, ...kept].join("\n\n")));
    this.consent.checked = false;
    this.name.value = "";
    this.noteName();
    this.fail("");
    this.pane("form");
    this.dialog.showModal();
    this.name.focus();
  }

  private get known(): boolean {
    return this.actions.profiles().some((p) => p.name === this.name.value.trim());
  }

  private noteName(): void {
    const note = this.known
      ? "Enrolled already: this recording is added to what is there."
      : "Shown on this page and in events.";
    say(el("enrol-name-note"), note);
  }

  private async start(): Promise<void> {
    const name = this.name.value.trim();
    const status = this.actions.status();
    if (!name) return this.refuse(this.name, "Enter a name first.");
    if (!this.consent.checked) {
      return this.refuse(this.consent, "Nothing is recorded without consent: tick the box first.");
    }
    if (!status) return this.fail("The server cannot be reached just now. Try again in a moment.");
    this.fail("");
    this.chooser.stop();
    this.actions.begin();
    this.attempt += 1;
    const attempt = this.attempt;
    try {
      const microphone = await Microphone.open({
        device: this.devices.chosen,
        onSound: (samples) => this.heard(samples),
        onFault: (fault) => this.interrupted(fault),
        onRate: () => this.broken("The microphone has another rate now. Record once more."),
        onEnd: (problem) => this.broken(microphoneProblem(problem)),
      });
      if (attempt !== this.attempt) return microphone.stop();
      this.microphone = microphone;
    } catch (error) {
      const problem = error instanceof MicrophoneError ? error.problem : "unsupported";
      return this.fail(microphoneProblem(problem));
    }
    this.record(name, status, this.microphone.sampleRate);
  }

  private record(name: string, status: Status, sample_rate: number): void {
    const days = el<HTMLSelectElement>("enrol-keep").value;
    this.ring.update(0, "0 %");
    say(el("enrol-progress"), "Listening. Start to read.");
    this.advise("", false);
    el<HTMLButtonElement>("enrol-finish").disabled = true;
    this.pane("recording");
    this.added = this.known;
    const stream = this.actions.voxwatch.enroll({
      name,
      consent: status.consent.text_version,
      ...(days ? { ttl_days: Number(days) } : {}),
      add: this.added,
      sample_rate,
    });
    stream.on("message", (message) => this.told(message));
    stream.on("failed", (error) =>
      this.broken(
        error instanceof ServerError
          ? serverProblem(error)
          : "The connection was lost, and half a recording is not kept. Try again.",
      ),
    );
    this.stream = stream;
  }

  private heard(samples: Int16Array<ArrayBuffer>): void {
    updateMeter(el("enrol-meter"), peaksOf(samples, samples.length)[0] ?? 0);
    void this.stream?.send(samples);
  }

  private interrupted(fault: Fault | null): void {
    updateMeter(el("enrol-meter"), 0);
    if (!fault) return this.advise("Read on.", false);
    const { title, advice } = faultWords(fault);
    this.advise(`${title}. ${advice}`, true);
  }

  private told(message: EnrollMessage): void {
    switch (message.type) {
      case "ready":
        this.least_s = message.min_s;
        return;
      case "progress":
        return this.progress(message);
      case "enrolled":
        return this.finished(message);
      case "refused":
        return this.refused(message);
    }
  }

  private progress(message: Progress): void {
    this.ring.update(message.percent / 100, `${message.percent} %`);
    const done = duration(message.net_speech_s);
    const missing = message.needed_s - message.net_speech_s;
    const advice = message.problems.map((p) => problemWords(p).advice).join(" ");
    // A few steps only: a screen reader is not to talk over the one who reads aloud.
    const steps = ["Start to read.", "Keep on reading.", "Half of it is done.", "Almost there."];
    say(el("enrol-progress"), steps[Math.min(3, Math.floor(message.percent / 25))] ?? "");
    const waiting = missing > 0 ? `${done} of speech, ${duration(missing)} more` : "Working it out";
    this.advise(advice || waiting, advice !== "");
    el<HTMLButtonElement>("enrol-finish").disabled = message.net_speech_s < this.least_s;
  }

  private advise(words: string, bad: boolean): void {
    const place = el("enrol-advice");
    place.setAttribute("aria-live", bad ? "polite" : "off");
    place.dataset.light = bad ? "bad" : "none";
    say(place, words);
  }

  private finished(message: EnrolledAs): void {
    this.enrolled = message.name;
    const made = `The voiceprint was made of ${duration(message.net_speech_s)} of speech.`;
    const words = [made, likeWords(message.like_voices ?? [])].join(" ").trim();
    this.result(true, `${message.name} is enrolled`, words);
    this.actions.done(message.name);
  }

  private refused(message: Refused): void {
    const { title, advice } = refusal(message.code, message.message, this.added);
    this.result(false, title, `Nothing was stored. ${advice}`);
  }

  private broken(words: string): void {
    if (this.dialog.open) this.result(false, "That did not work", words);
  }

  private result(good: boolean, title: string, text: string): void {
    this.stop();
    el("enrol-result-box").dataset.light = good ? "good" : "bad";
    el("enrol-result-icon").replaceChildren(icon(good ? "check" : "alert"));
    say(el("enrol-result-title"), title);
    say(el("enrol-result-text"), text);
    show(el("enrol-again"), !good);
    show(el("enrol-verify"), good);
    this.pane("result");
    el("enrol-result-title").focus();
  }

  private stop(): void {
    this.attempt += 1;
    this.chooser.stop();
    this.stream?.close();
    this.stream = null;
    this.microphone?.stop();
    this.microphone = null;
  }

  private refuse(at: HTMLElement, words: string): void {
    this.fail(words);
    at.focus();
  }

  private fail(words: string): void {
    say(el("enrol-error"), words);
    show(el("enrol-error"), words !== "");
  }

  private pane(shown: Pane): void {
    for (const pane of ["form", "recording", "result"] as const) {
      show(el(`enrol-${pane}`), pane === shown);
    }
  }
}
