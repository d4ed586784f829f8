/** The steps of a candidate's page: one is shown at a time, and its heading has the focus. */

import { el, h, prose, say, show } from "../dom";
import { icon, type IconName } from "../icons";
import { untilWords } from "../times";
import type { Seat } from "./server";

export type Screen = "notice" | "agree" | "mic" | "voice" | "heard";

const SCREENS: readonly Screen[] = ["notice", "agree", "mic", "voice", "heard"];
const STEPS: Partial<Record<Screen, string>> = {
  agree: "Agree",
  mic: "Microphone",
  voice: "Your voice",
  heard: "Exam",
};

let shown: Screen | null = null;

export function showScreen(screen: Screen, seat: Seat | null): void {
  for (const one of SCREENS) show(el(one), one === screen);
  drawHead(seat);
  drawSteps(screen, seat);
  say(el("problem"), "");
  show(el("problem"), false);
  show(el("rights"), screen === "heard" || screen === "mic" || screen === "voice");
  if (shown === screen) return;
  if (shown !== null) el(`${screen}-title`).focus();
  shown = screen;
}

export function complain(words: string): void {
  say(el("problem"), words);
  show(el("problem"), words !== "");
}

export interface Notice {
  icon: IconName;
  title: string;
  text: string;
  button?: string;
  run?(): void;
}

export function drawNotice(notice: Notice): void {
  el("notice-icon").replaceChildren(icon(notice.icon));
  say(el("notice-title"), notice.title);
  say(el("notice-text"), notice.text);
  const button = el<HTMLButtonElement>("notice-go");
  show(button, notice.button !== undefined);
  say(button, notice.button ?? "");
  button.onclick = () => notice.run?.();
}

/** The text of consent, and above all how long is kept what. */
export function drawConsent(seat: Seat): void {
  for (const place of ["agree", "rights"]) {
    const kept = seat.consent.kept.map(({ what, how_long }) =>
      h("div", {}, h("dt", {}, what), h("dd", {}, how_long)),
    );
    const paragraphs = seat.consent.text.split("\n").filter((line) => line.trim());
    el(`${place}-kept`).replaceChildren(...kept);
    el(`${place}-text`).lang = seat.consent.language;
    el(`${place}-text`).replaceChildren(...paragraphs.map(paragraph));
  }
  const lead = seat.enrolled
    ? `Your voice is known already, ${seat.name}. In the exam your microphone is listened to, and the voice compared with it.`
    : `Hello ${seat.name}. In this exam your voice is listened to. Read what that means; you can say no.`;
  say(el("agree-lead"), lead);
  say(el("agree-words"), `I am ${seat.name}, I have read this, and I agree.`);
}

function paragraph(line: string): HTMLElement {
  const [, label, rest] = /^([^:.]{3,40}): (.*)$/.exec(line) ?? [];
  if (label === undefined || rest === undefined) return h("p", {}, ...prose(line));
  return h("p", {}, h("b", {}, `${label}: `), ...prose(rest));
}

function drawHead(seat: Seat | null): void {
  show(el("exam-head"), seat !== null);
  if (!seat) return;
  say(el("exam-name"), seat.exam);
  say(el("exam-who"), `${seat.name} · until ${untilWords(seat.ends_at)}`);
}

function drawSteps(screen: Screen, seat: Seat | null): void {
  const steps = Object.entries(STEPS).filter(([step]) => step !== "voice" || !seat?.enrolled || screen === "voice");
  const now = steps.findIndex(([step]) => step === screen);
  show(el("steps"), now >= 0);
  el("steps").replaceChildren(
    ...steps.map(([, words], i) =>
      h("li", { "aria-current": i === now ? "step" : null, "data-done": i < now ? "" : null }, words),
    ),
  );
}
