/**
 * A microphone that comes back: where its sound is interrupted it is let go of, and opened again
 * as soon as the browser gives it.
 */

import { MicrophoneError, type MicrophoneProblem } from "../errors.js";
import { openRecording, type Fault, type OpenRecording, type Recording } from "./recording.js";

const LOOK_MS = 250;
const LOOKS_BETWEEN_TRIES = 3;
// Looks without a piece of sound, which comes each 100 ms, until it is said to have stopped. They
// are counted, not timed: a page that stood still has its pieces delivered before it looks again.
const STOPPED_LOOKS = 8;
const STARTING_LOOKS = 20; // a Bluetooth headset takes seconds to begin

export interface MicrophoneOptions {
  /** Null: the browser's default. */
  device: string | null;
  /** Where the worklet lies; null or left out: beside this package's modules. */
  worklet?: string | URL | null;
  onSound(samples: Int16Array<ArrayBuffer>): void;
  /** Why no sound comes; null: it comes again. */
  onFault(fault: Fault | null): void;
  /** The sound goes on at another rate. */
  onRate?(sampleRate: number): void;
  /** It is over, and why: trying again would not help. */
  onEnd(problem: MicrophoneProblem): void;
}

/** Calls `look` now and then, and the others when something happens; until it is called off. */
export type Occasions = (
  look: () => void,
  moved: () => void,
  devicesChanged: () => void,
) => () => void;

export class Microphone {
  private fault: Fault | null = null;
  private freed = false;
  private over = false;
  private opening = false;
  private pieces = 0; // since the last look
  private quiet = 0; // looks since the last piece
  private begun = false; // a piece came since it was opened
  private wait = 0; // looks until the next try
  private readonly off: () => void;

  /** Start listening. Rejects with a `MicrophoneError`. */
  static async open(
    options: MicrophoneOptions,
    open: OpenRecording = openRecording,
    occasions: Occasions = browserOccasions,
  ): Promise<Microphone> {
    let microphone: Microphone | null = null;
    const recording = await open({
      device: options.device,
      worklet: options.worklet ?? null,
      sampleRate: null,
      onSound: (samples) => microphone?.heard(samples),
      onMoved: () => microphone?.moved(),
    });
    microphone = new Microphone({ ...options }, open, recording, occasions);
    return microphone;
  }

  private constructor(
    private readonly options: MicrophoneOptions,
    private readonly open: OpenRecording,
    private recording: Recording | null,
    occasions: Occasions,
  ) {
    this.sampleRate = recording!.sampleRate;
    this.label = recording!.label;
    this.off = occasions(
      () => this.look(),
      () => this.moved(),
      () => void this.devicesChanged(),
    );
  }

  sampleRate: number;
  label: string;

  stop(): void {
    this.over = true;
    this.off();
    this.recording?.close();
    this.recording = null;
  }

  /** Go on with another microphone; null: the browser's default. */
  choose(device: string | null): void {
    if (this.options.device === device || this.over) return;
    this.options.device = device;
    this.reopen();
  }

  /** See whether sound comes, and do what can be done where it does not. */
  look(): void {
    if (this.over || this.opening) return;
    if (this.recording && !this.freed) {
      const fault = this.recording.fault() ?? this.silence();
      this.say(fault);
      if (fault === null || fault === "muted") return; // the browser unmutes it
      this.freed = true;
      if (fault === "paused") this.recording.free();
      else this.letGo();
      this.wait = 0;
    }
    this.wait -= 1;
    if (this.wait < 0) void this.comeBack();
  }

  /** Something happened that may bring the sound back: no waiting for the next try. */
  private moved(): void {
    this.wait = 0;
    this.look();
  }

  private heard(samples: Int16Array<ArrayBuffer>): void {
    this.pieces += 1;
    if (this.fault === null && !this.over) this.options.onSound(samples);
  }

  private silence(): Fault | null {
    this.quiet = this.pieces > 0 ? 0 : this.quiet + 1;
    this.begun ||= this.pieces > 0;
    this.pieces = 0;
    return this.quiet >= (this.begun ? STOPPED_LOOKS : STARTING_LOOKS) ? "stopped" : null;
  }

  private async comeBack(): Promise<void> {
    this.opening = true;
    this.wait = LOOKS_BETWEEN_TRIES;
    try {
      if (this.recording && !(await this.recording.wake())) return;
      if (this.over) return;
      this.letGo();
      const { device } = this.options;
      const recording = await this.open({
        device,
        worklet: this.options.worklet ?? null,
        sampleRate: this.sampleRate,
        onSound: (samples) => this.heard(samples),
        onMoved: () => this.moved(),
      });
      if (this.over) return recording.close();
      this.back(recording);
      if (device !== this.options.device) this.chosenMeanwhile();
    } catch (error) {
      if (!(error instanceof MicrophoneError)) throw error;
      this.refused(error.problem);
    } finally {
      this.opening = false;
    }
  }

  private back(recording: Recording): void {
    this.recording = recording;
    this.label = recording.label;
    this.freed = this.begun = false;
    this.pieces = this.quiet = 0;
    if (recording.sampleRate !== this.sampleRate) {
      this.sampleRate = recording.sampleRate;
      this.options.onRate?.(recording.sampleRate);
    }
    this.say(recording.fault());
  }

  private refused(problem: MicrophoneProblem): void {
    if (this.over) return;
    switch (problem) {
      case "missing":
        return this.say("unplugged");
      case "busy":
        return this.say("busy");
      case "suspended":
        return this.say("paused");
      default:
        this.stop();
        this.options.onEnd(problem);
    }
  }

  private say(fault: Fault | null): void {
    if (fault === this.fault) return;
    this.fault = fault;
    this.options.onFault(fault);
  }

  private letGo(): void {
    this.recording?.close();
    this.recording = null;
  }

  /** Another one was chosen while this one was opened: the next look opens that. */
  private chosenMeanwhile(): void {
    this.freed = true;
    this.letGo();
    this.wait = 0;
  }

  /** Open it anew, as where it runs at another rate than it says. */
  reopen(): void {
    if (this.opening || this.over) return;
    this.freed = true;
    this.letGo();
    void this.comeBack();
  }

  private async devicesChanged(): Promise<void> {
    const devices = await navigator.mediaDevices.enumerateDevices();
    if (this.over || this.opening) return;
    if (this.recording && better(devices, this.options.device, this.recording)) this.reopen();
    else this.moved();
  }
}

function browserOccasions(
  look: () => void,
  moved: () => void,
  devicesChanged: () => void,
): () => void {
  const timer = window.setInterval(look, LOOK_MS);
  const over = new AbortController();
  const options = { signal: over.signal };
  document.addEventListener("visibilitychange", moved, options);
  window.addEventListener("pageshow", moved, options);
  navigator.mediaDevices.addEventListener("devicechange", devicesChanged, options);
  return () => {
    window.clearInterval(timer);
    over.abort();
  };
}

/** Whether another microphone than the present one is now the one to use. */
export function better(
  devices: readonly Pick<MediaDeviceInfo, "kind" | "deviceId" | "groupId">[],
  chosen: string | null,
  present: { deviceId: string; groupId: string },
): boolean {
  const inputs = devices.filter(({ kind }) => kind === "audioinput");
  if (chosen !== null) {
    return present.deviceId !== chosen && inputs.some(({ deviceId }) => deviceId === chosen);
  }
  const standard = inputs.find(({ deviceId }) => deviceId === "default");
  return standard !== undefined && standard.groupId !== present.groupId;
}
