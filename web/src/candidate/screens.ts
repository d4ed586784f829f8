/** The steps of a candidate's page: one is shown at a time, and its heading has the focus. */

import { el, h, prose, show } from "../dom";
import { icon, type IconName } from "../icons";
import { drawRights, redrawClips } from "./clips";
import { bestOf, fill, readHere, tell, until, type Say } from "./language";
import type { Seat } from "./server";

export type Screen = "notice" | "agree" | "mic" | "voice" | "heard";

const SCREENS: readonly Screen[] = ["notice", "agree", "mic", "voice", "heard"];
const STEPS = ["agree", "mic", "voice", "heard"] as const;

let shown: Screen | null = null;

export function showScreen(screen: Screen, seat: Seat | null): void {
  for (const one of SCREENS) show(el(one), one === screen);
  drawHead(seat);
  drawSteps(screen, seat);
  complain(null);
  show(el("rights"), screen === "heard" || screen === "mic" || screen === "voice");
  if (shown === screen) return;
  if (shown !== null) el(`${screen}-title`).focus();
  shown = screen;
}

/** Say what is wrong; null: nothing is. */
export function complain(what: Say | null): void {
  tell(el("problem"), what);
  show(el("problem"), what !== null);
}

export interface Notice {
  icon: IconName;
  title: Say;
  text: Say;
  button?: Say;
  run?(): void;
}

export function drawNotice(notice: Notice): void {
  el("notice-icon").replaceChildren(icon(notice.icon));
  tell(el("notice-title"), notice.title);
  tell(el("notice-text"), notice.text);
  const button = el<HTMLButtonElement>("notice-go");
  show(button, notice.button !== undefined);
  tell(button, notice.button ?? null);
  button.onclick = () => notice.run?.();
}

/** The text of consent, and above all how long is kept what. */
export function drawConsent(seat: Seat): void {
  const { sha } = el("agree").dataset;
  // Who has ticked has ticked another text.
  if (sha !== seat.consent.text_sha256) el<HTMLInputElement>("agree-given").checked = false;
  el("agree").dataset.sha = seat.consent.text_sha256;
  for (const place of ["agree", "rights"]) {
    const kept = seat.consent.kept.map(({ what, how_long }) =>
      h("div", {}, h("dt", {}, what), h("dd", {}, how_long)),
    );
    const paragraphs = seat.consent.text.split("\n").filter((line) => line.trim());
    el(`${place}-kept`).replaceChildren(...kept);
    el(`${place}-text`).lang = seat.consent.language;
    el(`${place}-kept`).lang = bestOf([seat.consent.language, ...readHere()]); // as the server does
    el(`${place}-text`).replaceChildren(...paragraphs.map(paragraph));
  }
  redrawClips(seat);
  drawRights(seat);
  const { name, enrolled } = seat;
  tell(el("agree-lead"), ({ agree }) => fill(enrolled ? agree.known : agree.lead, { name }));
  tell(el("agree-words"), ({ agree }) => fill(agree.words, { name }));
}

function paragraph(line: string): HTMLElement {
  const [, label, rest] = /^([^:.]{2,40}): (.*)$/.exec(line) ?? [];
  if (label === undefined || rest === undefined) return h("p", {}, ...prose(line));
  return h("p", {}, h("b", {}, `${label}: `), ...prose(rest));
}

function drawHead(seat: Seat | null): void {
  show(el("exam-head"), seat !== null);
  if (!seat) return;
  const { exam, name, ends_at } = seat;
  tell(el("exam-name"), () => exam);
  tell(el("exam-who"), (w) => fill(w.page.until, { name, time: until(ends_at) }));
}

function drawSteps(screen: Screen, seat: Seat | null): void {
  const steps = STEPS.filter((step) => step !== "voice" || !seat?.enrolled || screen === "voice");
  const now = steps.findIndex((step) => step === screen);
  show(el("steps"), now >= 0);
  el("steps").replaceChildren(
    ...steps.map((step, i) => {
      const line = h("li", { "aria-current": i === now ? "step" : null, "data-done": i < now ? "" : null });
      tell(line, (w) => w.steps[step]);
      return line;
    }),
  );
}
