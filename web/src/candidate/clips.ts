/** The question by itself whether sound may be kept: either answer lets a candidate go on. */

import { el, say, show } from "../dom";
import { tell } from "./language";
import type { ClipsAnswer, ClipsQuestion, Seat } from "./server";

const YES_NO = '#agree-clips input[name="clips"]';

let asked: ClipsQuestion | null = null;

function choices(): HTMLInputElement[] {
  return [...document.querySelectorAll<HTMLInputElement>(YES_NO)];
}

/** Ask whoever has not agreed yet; who has refused may say so again. */
export function askClips({ clips }: Seat): void {
  asked = clips && clips.answer !== "agreed" ? clips : null;
  show(el("agree-clips"), asked !== null);
  for (const one of choices()) one.checked = one.value === "no" && asked?.answer === "refused";
  if (asked) draw(asked);
}

/** Whoever has agreed can take that alone back. */
export function drawRights({ clips }: Seat): void {
  const agreed = clips?.answer === "agreed";
  show(el("rights-clips"), agreed);
  if (agreed) tell(el("rights-said"), null); // of a time before
}

/** The same question in another language, while it is asked. */
export function redrawClips({ clips }: Seat): void {
  if (!asked || !clips || clips.text_sha256 === asked.text_sha256) return;
  asked = clips;
  for (const one of choices()) one.checked = false; // who has answered has answered another text
  draw(clips);
}

function draw({ text, kept, language }: ClipsQuestion): void {
  say(el("clips-text"), text);
  say(el("clips-kept"), kept.map(({ what, how_long }) => `${what}: ${how_long}.`).join(" "));
  el("clips-text").lang = el("clips-kept").lang = language;
}

/** What was answered: null where nothing is asked, undefined where nothing was chosen. */
export function chosenClips(): ClipsAnswer | null | undefined {
  if (!asked) return null;
  const chosen = choices().find((one) => one.checked);
  if (!chosen) return undefined;
  const { text_sha256, language } = asked;
  return { agreed: chosen.value === "yes", text_sha256, language };
}

export function focusClips(): void {
  choices()[0]?.focus();
}
