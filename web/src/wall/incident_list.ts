/** The incidents of the candidate who is open, most in need first. */

import { el, h, show } from "../dom";
import { isUnseen, type Incident } from "../incidents";
import { timeOfDay } from "../times";
import { clock, sentence } from "../words";
import { badge } from "./badge";
import { titleOf } from "./kinds";
import type { Seat } from "./seat";
import { expected, lateWords, whenWords } from "./words";

export type Clips = ReadonlyMap<string, boolean>;

const WRITTEN_EACH_S = 5; // how long something lasts is told so often

export class IncidentList {
  private drawn = "";

  constructor(
    private readonly look: (incident: Incident) => void,
    private readonly acknowledge: (incidents: readonly Incident[]) => void,
    private readonly listen: (incident: Incident) => void,
  ) {}

  /** `clips`: incidents of which there was sound, and whether it is there. `now`: seconds since 1970. */
  draw(seat: Seat, incidents: readonly Incident[], clips: Clips, now: number): void {
    const unseen = incidents.filter(isUnseen);
    el("acknowledge").onclick = () => this.acknowledge(unseen);
    show(el("acknowledge"), unseen.length > 1);
    show(el("incidents-none"), incidents.length === 0);
    const key = JSON.stringify([incidents, seat.claims, [...clips], Math.floor(now / WRITTEN_EACH_S)]);
    if (key === this.drawn) return;
    this.drawn = key;
    const list = el("incidents");
    const { id, act } = (document.activeElement as HTMLElement | null)?.dataset ?? {};
    list.replaceChildren(...incidents.map((one) => this.line(one, seat, clips.get(one.id), now)));
    // The list is written anew under the reader: stay where they were.
    if (id && act) list.querySelector<HTMLElement>(`[data-id="${CSS.escape(id)}"][data-act="${act}"]`)?.focus();
  }

  private line(incident: Incident, seat: Seat, sound: boolean | undefined, now: number): HTMLElement {
    const { moment, ago } = whenWords(incident, now);
    const title = titleOf(incident, expected(seat));
    const look = button(incident, "show", "Show", () => this.look(incident));
    look.setAttribute("aria-label", `Show over time: ${title}`);
    const listen = button(incident, "listen", "Listen", () => this.listen(incident));
    listen.setAttribute("aria-label", `Listen to ${title}`);
    const seen = button(incident, "acknowledge", "Acknowledge", () => this.acknowledge([incident]));
    return h(
      "li",
      {},
      badge(incident.kind),
      h(
        "div",
        {},
        h("b", {}, title),
        h("div", { class: "moment" }, `${moment} · ${ago}`),
        h("div", { class: "quiet" }, reasonWords(incident)),
        h("div", { class: "quiet" }, lateWords(incident)),
        h("div", { class: "quiet" }, sound === false ? "Its sound was deleted." : ""),
        h("div", { class: "quiet" }, seenWords(incident)),
      ),
      h("div", { class: "do" }, isUnseen(incident) ? seen : null, sound ? listen : null, look),
    );
  }
}

function button({ id }: Incident, act: string, words: string, run: () => void): HTMLElement {
  const made = h("button", { type: "button", class: "small", "data-act": act, "data-id": id }, words);
  made.onclick = run;
  return made;
}

/** Why, in the server's words, and where in the sound. */
function reasonWords({ reason, since, count = 1 }: Incident): string {
  const where = `${clock(since)} into the sound${count > 1 ? `, ${count} times` : ""}.`;
  return reason ? `${sentence(reason.replace(/\.$/, ""))} ${where}` : where;
}

function seenWords({ note_only, acknowledged_by, acknowledged_at }: Incident): string {
  if (note_only) return "A note only: this candidate is allowed it.";
  if (acknowledged_at === null) return "";
  return `Acknowledged by ${acknowledged_by ?? "somebody"}, ${timeOfDay(acknowledged_at)}`;
}
