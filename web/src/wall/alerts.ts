/** How an incident reaches who does not look at the wall: spoken, by sound, on the desktop. */

import { el, keep, kept } from "../dom";
import type { Incident } from "../incidents";
import { toast } from "../views/toast";
import { urgency } from "./kinds";

const TOGETHER_MS = 600; // incidents that come so close are said in one sentence
const SAID = 3; // of those, so many by name
const PAUSE_S = 2; // between two sounds

export class Alerts {
  private waiting: { incident: Incident; words: string }[] = [];
  private readonly chime = new Chime();
  private readonly desktop: Desktop;

  constructor(open: (stream: string) => void) {
    this.desktop = new Desktop(open);
  }

  /** Somebody is to look at this. */
  raise(incident: Incident, words: string): void {
    this.waiting.push({ incident, words });
    if (this.waiting.length === 1) window.setTimeout(() => this.speak(), TOGETHER_MS);
    this.chime.ring(incident);
    this.desktop.show(incident, words);
  }

  toggleSound(): void {
    this.chime.toggle();
  }

  toggleDesktop(): void {
    void this.desktop.toggle();
  }

  /** Politely: it waits until the reader has finished. */
  private speak(): void {
    const told = this.waiting.sort((a, b) => urgency(a.incident.kind) - urgency(b.incident.kind));
    this.waiting = [];
    const rest = told.length - SAID;
    const words = told.slice(0, SAID).map((one) => `${one.words}.`);
    if (rest > 0) words.push(`And ${rest} more.`);
    el("announce").replaceChildren(Object.assign(document.createElement("p"), { textContent: words.join(" ") }));
  }
}

/** Two tones; the higher for what is most urgent. */
class Chime {
  private on = kept("localStorage", "chime") === "on";
  private context: AudioContext | null = null;
  private rung = -Infinity;
  private readonly button = el<HTMLButtonElement>("chime");

  constructor() {
    this.button.onclick = () => this.toggle();
    this.show();
    // A browser lets a page sound only after somebody has touched it.
    if (this.on) document.addEventListener("pointerdown", () => this.ready(), { once: true });
    if (this.on) document.addEventListener("keydown", () => this.ready(), { once: true });
  }

  toggle(): void {
    this.on = !this.on;
    keep("localStorage", "chime", this.on ? "on" : null);
    this.show();
    toast(this.on ? "A sound tells of each incident." : "No sound any more.");
    if (this.on) this.play(1);
  }

  ring({ kind }: Incident): void {
    if (this.on) this.play(urgency(kind) < 2 ? 1.5 : 1);
  }

  private show(): void {
    this.button.setAttribute("aria-pressed", String(this.on));
  }

  private ready(): AudioContext {
    this.context ??= new AudioContext();
    void this.context.resume();
    return this.context;
  }

  private play(height: number): void {
    const context = this.ready();
    const now = context.currentTime;
    if (now - this.rung < PAUSE_S) return;
    this.rung = now;
    for (const [i, hertz] of [523, 784].entries()) {
      const [tone, loudness] = [context.createOscillator(), context.createGain()];
      const start = now + 0.16 * i;
      tone.frequency.value = hertz * height;
      loudness.gain.setValueAtTime(0.0001, start);
      loudness.gain.exponentialRampToValueAtTime(0.25, start + 0.02);
      loudness.gain.exponentialRampToValueAtTime(0.0001, start + 0.5);
      tone.connect(loudness).connect(context.destination);
      tone.start(start);
      tone.stop(start + 0.5);
    }
  }
}

/** Notifications of the system, while the page is not in front. */
class Desktop {
  private on = false;
  private readonly button = el<HTMLButtonElement>("desktop");

  constructor(private readonly open: (stream: string) => void) {
    const wished = kept("localStorage", "desktop") === "on";
    this.on = wished && "Notification" in window && Notification.permission === "granted";
    this.button.onclick = () => void this.toggle();
    this.display();
  }

  async toggle(): Promise<void> {
    if (!this.on && !(await this.allowed())) {
      toast("The browser does not let this page notify you. Allow it beside the address.");
      return;
    }
    if (this.on) this.turn(false, "No notifications any more.");
    else this.turn(true, "You are notified while this page is not in front.");
  }

  private turn(on: boolean, words: string): void {
    this.on = on;
    keep("localStorage", "desktop", on ? "on" : null);
    this.display();
    toast(words);
  }

  show(incident: Incident, words: string): void {
    if (!this.on || (document.visibilityState === "visible" && document.hasFocus())) return;
    let note: Notification;
    try {
      note = new Notification("voxwatch", { body: words, tag: incident.id });
    } catch {
      this.turn(false, "This browser does not let a page notify you. Notifications are off."); // as on Android
      return;
    }
    note.onclick = () => {
      window.focus();
      this.open(incident.stream);
      note.close();
    };
  }

  private async allowed(): Promise<boolean> {
    if (!("Notification" in window) || !window.isSecureContext) return false;
    return (await Notification.requestPermission()) === "granted";
  }

  private display(): void {
    this.button.setAttribute("aria-pressed", String(this.on));
  }
}
