/** A passing remark at the foot of the page. */

import { el, say, show } from "../dom";

const SHOWN_MS = 6000;

let timer = 0;

export function toast(words: string): void {
  const place = el("toast");
  show(place, true);
  say(place, words);
  window.clearTimeout(timer);
  timer = window.setTimeout(() => show(place, false), SHOWN_MS);
}
