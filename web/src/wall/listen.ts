/** Plays the sound of an incident, where the record has any. */

import { el, h, say, show } from "../dom";
import type { Incident } from "../incidents";
import { Gone } from "../server";
import { timeOfDay } from "../times";
import { toast } from "../views/toast";

export class Player {
  private readonly place = el("clip");
  private address = "";
  /** The incident that is played or asked for; "": none. */
  id = "";

  /** `gone` is called with an incident whose sound was offered and is not there any more. */
  constructor(
    private readonly fetchClip: (incident: Incident) => Promise<Blob>,
    private readonly gone: (incident: Incident) => void,
  ) {}

  async play(incident: Incident): Promise<void> {
    this.stop();
    this.id = incident.id;
    let sound: Blob;
    try {
      sound = await this.fetchClip(incident);
    } catch (error) {
      const deleted = error instanceof Gone;
      if (deleted) this.gone(incident);
      if (this.id === incident.id) toast(deleted ? "That sound was deleted." : "The sound cannot be had just now.");
      return;
    }
    if (this.id !== incident.id) return; // another was asked for, or the candidate was closed
    this.address = URL.createObjectURL(sound);
    const audio = h("audio", { controls: "", src: this.address, "aria-labelledby": "clip-words" });
    audio.onerror = () => toast("This browser cannot play the sound.");
    say(el("clip-words"), `Sound around ${timeOfDay(incident.since_at)}`);
    el("clip-player").replaceChildren(audio);
    show(this.place, true);
    audio.focus({ preventScroll: true });
    void audio.play().catch(() => undefined); // a browser may want another click, on its own button
  }

  /** Let it go: nothing of the sound stays in the page. */
  stop(): void {
    this.id = "";
    show(this.place, false);
    const audio = this.place.querySelector("audio");
    audio?.pause();
    audio?.remove();
    if (this.address) URL.revokeObjectURL(this.address);
    this.address = "";
  }
}
