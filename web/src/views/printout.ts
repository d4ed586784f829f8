/** The session report as a printable page. */

import { el, h } from "../dom";
import type { Report } from "../report";
import { clock } from "../words";

export function print(report: Report): void {
  const page = el("print");
  page.replaceChildren(
    h("h1", {}, "Session report"),
    h("p", {}, `${report.label || report.stream || "No stream"} · ${new Date(report.made_at).toLocaleString()}`),
    h("p", {}, `Question: ${report.question}`),
    h("p", {}, `${clock(report.received_s)} of sound, ${clock(report.speech_s)} of speech`),
    h("p", {}, report.model ? `Model: ${report.model.name} ${report.model.version}` : ""),
    h("h2", {}, "Who spoke"),
    table(
      ["From", "To", "State", "Speaker"],
      report.timeline.map((l) => [clock(l.start_s), clock(l.end_s), l.state, l.speaker ?? ""]),
    ),
    h("h2", {}, "Changes of voice"),
    table(
      ["At", "Noticed", "From", "To"],
      report.changes.map((c) => [clock(c.at_s), clock(c.detected_at_s), c.from ?? "", c.to ?? ""]),
    ),
    h("p", {}, "A voice is corroboration, not authentication."),
  );
  window.print();
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
