/** The state in the largest letters, and the same for those who listen. */

import { el, say, show } from "../dom";
import { icon, Ring } from "../icons";
import { spoken, type Headline } from "../headline";

// Changes that follow each other faster are told as the last of them.
const QUIET_MS = 2000;

export class Hero {
  private readonly box = el("hero");
  private readonly title = el("hero-title");
  private readonly ring = new Ring();
  private readonly more = document.createElement("span");
  private drawn = "";
  private told = "";
  private toTell = "";
  private lastTold = -Infinity;
  private timer = 0;

  constructor() {
    el("hero-ring").append(this.ring.element);
    this.more.className = "more";
  }

  update(line: Headline, question: string): void {
    this.box.dataset.tone = line.tone;
    if (this.drawn !== line.icon) el("hero-icon").replaceChildren(icon(line.icon));
    this.drawn = line.icon;
    this.write(line);
    say(el("hero-question"), question);
    say(el("hero-detail"), line.detail);
    document.title = `${line.title} · voxwatch`;
    this.tell(spoken(line));
  }

  private write(line: Headline): void {
    const { countdown } = line;
    show(el("hero-ring"), countdown !== undefined);
    if (!countdown) {
      say(this.title, line.title);
      return;
    }
    const missing = countdown.missing_s;
    const more = missing > 0 ? `${missing.toFixed(1)} s more` : "deciding";
    this.ring.update(1 - missing / countdown.needed_s, `${missing.toFixed(1)} s`);
    if (this.more.parentNode !== this.title) {
      this.title.replaceChildren(`${line.title} – `, this.more);
    }
    say(this.more, more);
  }

  private tell(words: string): void {
    if (words === this.toTell) return;
    this.toTell = words;
    window.clearTimeout(this.timer);
    const wait = Math.max(0, this.lastTold + QUIET_MS - performance.now());
    this.timer = window.setTimeout(() => {
      this.lastTold = performance.now();
      if (this.told !== this.toTell) say(el("announce"), this.toTell);
      this.told = this.toTell;
    }, wait);
  }
}
