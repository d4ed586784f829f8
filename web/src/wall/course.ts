/** The course of a stream: its incidents, evidence, states and turns over one time axis. */

import { el, h, say } from "../dom";
import type { Incident } from "../incidents";
import { timeOfDay } from "../times";
import { GUTTER } from "../views/palette";
import { drawTimeline } from "../views/timeline";
import { Trace } from "../views/trace";
import { clock } from "../words";
import { lookOf, titleOf } from "./kinds";
import type { StreamRecord } from "./record";

const AROUND_S = 60; // before and after an incident that is looked at
const LEAST_S = 30; // of an axis
const FINE_S = 300; // an axis as short as that has seconds

export class Course {
  private readonly trace = new Trace(el("trace"), () => undefined);
  private readonly timeline = el<HTMLCanvasElement>("timeline");
  /** The newest so many seconds; 0: all. */
  private range_s = 0;
  /** What is looked at, in place of the newest. */
  private span: [number, number] | null = null;
  private laid = "";

  constructor(private readonly moved: () => void) {
    el("range").onchange = (event) => this.range(Number((event.target as HTMLInputElement).value));
  }

  /** All from the beginning, as for another candidate. */
  reset(): void {
    el("range").querySelector<HTMLInputElement>('[value="0"]')!.checked = true;
    this.range(0);
  }

  /** Look at one incident and what was around it. */
  show({ since, until }: Incident): void {
    for (const input of el("range").querySelectorAll("input")) input.checked = false;
    this.span = [since - AROUND_S, (until ?? since) + AROUND_S];
    this.moved();
  }

  draw(record: StreamRecord, incidents: readonly Incident[]): void {
    const [start, end] = this.axis(record.view.media);
    const coarse = end - start > FINE_S;
    const time = (t: number): string => {
      const at = record.timeOf(t);
      return at === null ? clock(t) : timeOfDay(at).slice(0, coarse ? 5 : 8);
    };
    this.trace.update(record.view, start, end);
    drawTimeline(this.timeline, record.view, start, end, time);
    this.lay(incidents, start, end, record.view.media);
  }

  private range(seconds: number): void {
    this.range_s = seconds;
    this.span = null;
    this.moved();
  }

  private axis(media: number): [number, number] {
    if (this.span) return [Math.max(0, this.span[0]), this.span[1]];
    const length = this.range_s || Math.max(media, LEAST_S);
    const end = Math.max(media, length);
    return [end - length, end];
  }

  /** A mark for each incident, which can be clicked. */
  private lay(incidents: readonly Incident[], start: number, end: number, media: number): void {
    const marks = incidents
      .map((one) => ({ one, from: Math.max(one.since, start), to: Math.min(one.until ?? media, end) }))
      .filter(({ one, to }) => to >= start && one.since <= end);
    const key = JSON.stringify([start, end, marks.map(({ one, to }) => [one.id, to])]);
    if (key === this.laid) return;
    this.laid = key;
    const share = (t: number): string => (100 * ((t - start) / (end - start))).toFixed(2);
    const strip = h("div", { class: "strip" });
    strip.style.marginLeft = `${GUTTER}px`;
    for (const { one, from, to } of marks) {
      const words = `${titleOf(one, "")} at ${timeOfDay(one.since_at)}`;
      const mark = h("button", { type: "button", class: "mark", title: words, "aria-label": words });
      mark.dataset.tone = lookOf(one.kind).tone;
      mark.style.left = `${share(from)}%`;
      mark.style.width = `max(8px, ${share(to)}% - ${share(from)}%)`;
      mark.onclick = () => this.show(one);
      strip.append(mark);
    }
    const name = h("span", { class: "lane-name" });
    say(name, "Incident");
    el("lane").replaceChildren(name, strip);
  }
}
