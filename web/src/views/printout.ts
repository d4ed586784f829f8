/** The session report as a printable page. */

import { el, h } from "../dom";
import type { Report, SessionReport } from "../report";
import { clock, voiceName } from "../words";

export function print(report: Report): void {
  el("print").replaceChildren(
    h("h1", {}, "Session report"),
    h("p", {}, `Made ${new Date(report.made_at).toLocaleString()}`),
    ...report.earlier.flatMap((session, i) => [
      ...pageOf(session, i > 0),
      h("p", {}, "A new session began."),
    ]),
    ...pageOf(report, report.earlier.length > 0),
    h("p", {}, "A voice is corroboration, not authentication."),
  );
  window.print();
}

/** One session; `later`: another stands above it. */
function pageOf(session: SessionReport, later: boolean): HTMLElement[] {
  const { model, timeline, changes } = session;
  return [
    h(later ? "h2" : "p", {}, session.label || session.stream || "No stream"),
    h("p", {}, `Question: ${session.question}`),
    h("p", {}, `${clock(session.received_s)} of sound, ${clock(session.speech_s)} of speech`),
    h("p", {}, model ? `Model: ${model.name} ${model.version}` : ""),
    h("h2", {}, "Who spoke"),
    table(
      ["From", "To", "State", "Speaker"],
      timeline.map((l) => [clock(l.start_s), clock(l.end_s), l.state, l.speaker ?? ""]),
    ),
    h("h2", {}, "Changes of voice"),
    table(
      ["At", "Noticed", "From", "To"],
      changes.map((c) => [clock(c.at_s), clock(c.detected_at_s), called(c.from), called(c.to)]),
    ),
  ];
}

function called(name: string | null): string {
  return name === null ? "" : voiceName(name);
}

function table(head: string[], lines: string[][]): HTMLElement {
  if (lines.length === 0) return h("p", {}, "None.");
  return h(
    "table",
    {},
    h("thead", {}, h("tr", {}, ...head.map((words) => h("th", {}, words)))),
    h("tbody", {}, ...lines.map((line) => h("tr", {}, ...line.map((w) => h("td", {}, w))))),
  );
}
