/** Shows whether a candidate is heard, and what could be better. */

import { el, say } from "../dom";
import { icon } from "../icons";
import { updateMeter } from "../views/sound";
import { hearing, soundWords, type Hearing } from "./hearing";
import { fill, until, words } from "./language";
import type { Listening } from "./listening";

const SOON_S = 300; // the server says it a minute before

export class HeardView {
  private announced = "";

  /** `title`: shows it where the page's title is. */
  constructor(private readonly title: (now: string) => void) {}

  /** What is heard just now; null: the microphone is being opened. The link holds until then. */
  draw(listening: Listening | null, expires_at: number): void {
    const w = words();
    if (!listening) {
      const { openingTitle: title, openingText: text } = w.heard;
      this.say({ tone: "waiting", icon: "clock", title, text });
      return;
    }
    const situation = listening.situation();
    this.say(hearing(situation, w));
    const advice = [endsSoon(listening, expires_at), soundWords(situation.quality, w)];
    say(el("heard-advice"), advice.filter(Boolean).join(" "));
    updateMeter(el("heard-level"), listening.peak);
  }

  private say({ tone, icon: name, title, text }: Hearing): void {
    const state = el("heard-state");
    if (state.dataset.icon !== name) el("heard-icon").replaceChildren(icon(name));
    state.dataset.icon = name;
    state.dataset.tone = tone;
    say(el("heard-title"), title);
    say(el("heard-text"), text);
    this.title(tone === "problem" ? `⚠ ${title}` : title);
    // A screen reader is told when it changes, and not of each second of a countdown.
    if (title !== this.announced) say(el("heard-announce"), `${title}. ${tone === "problem" ? text : ""}`);
    this.announced = title;
  }
}

/** A stream that may be no longer is followed by another; a link is not. */
function endsSoon(listening: Listening, expires_at: number): string {
  if (!listening.endsSoon || expires_at - Date.now() / 1000 > SOON_S) return "";
  return fill(words().heard.linkEnds, { time: until(expires_at) });
}
