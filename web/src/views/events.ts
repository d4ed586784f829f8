/** What happened, newest first. */

import { el, h, show } from "../dom";
import { icon, type IconName } from "../icons";
import type { Note, View } from "../view";
import type { Decision } from "voxwatch-client";
import { clock, noteWords } from "../words";

const SHOWN = 60;

const DECISIONS: Record<Decision["state"], [tone: string, icon: IconName]> = {
  match: ["match", "check"],
  mismatch: ["alert", "cross"],
  uncertain: ["unsure", "question"],
  unknown: ["unknown", "person"],
  insufficient: ["waiting", "clock"],
};

let drawn: Note[] = [];

export function updateEvents(view: View): void {
  if (view.notes === drawn) return;
  drawn = view.notes;
  const list = el("events");
  list.replaceChildren(
    ...view.notes
      .slice(-SHOWN)
      // A change is told later than it happened; each session's time begins at 0.
      .sort((a, b) => a.session - b.session || a.t - b.t)
      .reverse()
      .map((note) => eventLine(note, view.claims, clock(note.t))),
  );
  show(list, drawn.length > 0);
  show(el("events-empty"), drawn.length === 0);
}

export function eventLine(note: Note, claims: readonly string[], time: string): HTMLElement {
  const { what, why } = noteWords(note, claims);
  const [tone, name] = look(note);
  const reason = why ? h("div", { class: "why" }, why) : null;
  return h(
    "li",
    { "data-tone": tone },
    h("time", {}, time),
    icon(name) as unknown as HTMLElement,
    h("div", {}, h("b", {}, what), reason),
  );
}

function look(note: Note): [tone: string, icon: IconName] {
  switch (note.kind) {
    case "decision":
      return DECISIONS[(note.event as Decision).state];
    case "change":
      return ["alert", "swap"];
    case "lag":
      return ["unsure", "clock"];
    case "session":
      return ["waiting", "plug"];
    case "microphone":
      return ["unsure", "mute"];
    default:
      return ["alert", "alert"];
  }
}
