/** Waveform with the speech ribbon above the scores, states and changes below; one time axis. */

import { el, h, show } from "../dom";
import type { View } from "../view";
import { clock } from "../words";
import type { Waveform } from "../waveform";
import { colour, GUTTER, pen, seriesColour } from "./palette";
import { Trace, type Scale } from "./trace";

const RIBBON = 10;
const BAND = 24;
const TICKS_S = [5, 10, 15, 30, 60, 120];

type Draw = CanvasRenderingContext2D;

export class Scope {
  private readonly wave = el<HTMLCanvasElement>("wave");
  private readonly timeline = el<HTMLCanvasElement>("timeline");
  private readonly trace = new Trace(el("trace"), (t) => this.readOut(t));
  private range_s = 30;
  private legend = "";
  private pointed: number | null = null;
  private last: View | null = null;

  setRange(seconds: number): void {
    this.range_s = seconds;
  }

  setScale(scale: Scale): void {
    this.trace.setScale(scale);
  }

  update(view: View, waveform: Waveform): void {
    this.last = view;
    const end = Math.max(view.media, this.range_s);
    const start = end - this.range_s;
    show(el("scope-empty"), view.media === 0);
    this.drawWave(view, waveform, start, end);
    this.trace.update(view, start, end);
    this.drawTimeline(view, start, end);
    this.drawLegend(view);
  }

  private drawWave(view: View, waveform: Waveform, start: number, end: number): void {
    const canvas = pen(this.wave);
    if (!canvas) return;
    const { draw, width, height } = canvas;
    const x = scale(start, end, width);
    const middle = (height - RIBBON - 8) / 2;
    name(draw, "Sound", middle);
    name(draw, "Speech", height - RIBBON / 2 - 1);
    draw.fillStyle = colour("wave");
    const column = (end - start) / (width - GUTTER);
    for (let px = GUTTER; px < width; px += 2) {
      const from = start + (px - GUTTER) * column;
      const peak = waveform.peak(from, from + 2 * column);
      if (peak === null) continue;
      const size = Math.max(0.75, (peak / 127) * (middle - 1));
      draw.fillRect(px, middle - size, 1.5, 2 * size);
    }
    draw.fillStyle = colour("line");
    draw.fillRect(GUTTER, height - RIBBON - 1, width - GUTTER, RIBBON);
    draw.fillStyle = colour("speech");
    for (const span of view.speech) {
      const from = Math.max(x(span.start), GUTTER);
      const to = Math.min(x(span.end ?? view.media), width);
      if (to > from) draw.fillRect(from, height - RIBBON - 1, to - from, RIBBON);
    }
    markChanges(draw, view, x, height);
  }

  private drawTimeline(view: View, start: number, end: number): void {
    const canvas = pen(this.timeline);
    if (!canvas) return;
    const { draw, width, height } = canvas;
    const x = scale(start, end, width);
    name(draw, "State", BAND / 2 + 6);
    draw.fillStyle = colour("line");
    draw.fillRect(GUTTER, 6, width - GUTTER, BAND);
    for (const segment of view.segments) {
      const from = Math.max(x(segment.start), GUTTER);
      const to = Math.min(x(segment.end ?? view.media), width);
      if (to <= from) continue;
      draw.fillStyle = colour(BANDS[segment.state]);
      draw.fillRect(from, 6, to - from, BAND);
      label(draw, bandWords(segment.state, segment.speaker, view.claims), segment.state, from, to);
    }
    markChanges(draw, view, x, BAND + 12);
    ticks(draw, start, end, x, height);
  }

  private drawLegend(view: View): void {
    const speakers = Object.keys(view.traces).slice(0, 6);
    const t = this.pointed;
    const shown = speakers.map((speaker) => {
      const trace = view.traces[speaker]!;
      const at = t === null ? trace.t.length - 1 : nearest(trace.t, t);
      return { speaker, llr: trace.evidence[at] ?? trace.llr[at] ?? 0 };
    });
    const rows = shown.map(
      (s) => `${s.speaker} ${s.llr >= 0 ? "+" : "−"}${Math.abs(s.llr).toFixed(1)}`,
    );
    const note = legendNote(view, speakers);
    const key = [...rows, note, document.documentElement.dataset.theme].join("|");
    if (key === this.legend) return;
    this.legend = key;
    el("legend").replaceChildren(
      ...rows.map((words, i) => {
        const swatch = h("span", { class: "swatch" });
        swatch.style.background = seriesColour(i);
        return h("li", {}, swatch, words);
      }),
      ...(note ? [h("li", { class: "quiet" }, note)] : []),
    );
  }

  private readOut(t: number | null): void {
    this.pointed = t;
    if (this.last) this.drawLegend(this.last);
  }
}

/** What the two kinds of line are; "" where there is one. */
function legendNote(view: View, speakers: readonly string[]): string {
  const both = speakers.some((s) => view.traces[s]!.evidence.some((value) => value !== null));
  if (!both) return "";
  const window = view.window_s ? `the last ${view.window_s} s` : "the last window";
  return `Thick: all the speech so far, which decides. Thin: ${window} alone.`;
}

const BANDS: Record<View["segments"][number]["state"], string> = {
  match: "band-match",
  mismatch: "band-alert",
  uncertain: "band-unsure",
  unknown: "band-unknown",
  insufficient: "band-waiting",
  changed: "band-changed",
};

function bandWords(state: string, speaker: string | null, claims: readonly string[]): string {
  switch (state) {
    case "match":
      return speaker ?? "Match";
    case "mismatch":
      return claims.length === 1 ? `Not ${claims[0]}` : "No match";
    case "uncertain":
      return "Unsure";
    case "unknown":
      return "Unknown";
    case "changed":
      return "Another voice";
    default:
      return "Too little";
  }
}

function scale(start: number, end: number, width: number): (t: number) => number {
  return (t) => GUTTER + ((t - start) / (end - start)) * (width - GUTTER);
}

function name(draw: Draw, words: string, y: number): void {
  draw.fillStyle = colour("ink-2");
  draw.textAlign = "left";
  draw.textBaseline = "middle";
  draw.fillText(words, 0, y);
}

/** A band's words where they fit; dark on the light bands. */
function label(draw: Draw, words: string, state: string, from: number, to: number): void {
  if (draw.measureText(words).width + 12 > to - from) return;
  const dark = document.documentElement.dataset.theme === "dark";
  const lightBand = state === "uncertain" || state === "match" || (state === "insufficient" && !dark);
  draw.fillStyle = lightBand ? "#10141c" : "#ffffff";
  draw.textAlign = "left";
  draw.textBaseline = "middle";
  draw.fillText(words, from + 6, 6 + BAND / 2 + 1);
}

/** A line and a notch at each change, at the moment it happened rather than was noticed. */
function markChanges(draw: Draw, view: View, x: (t: number) => number, height: number): void {
  draw.fillStyle = colour("ink");
  for (const change of view.changes) {
    const at = x(change.at);
    if (at < GUTTER) continue;
    draw.fillRect(at - 0.75, 0, 1.5, height);
    draw.beginPath();
    draw.moveTo(at - 5, 0);
    draw.lineTo(at + 5, 0);
    draw.lineTo(at, 7);
    draw.fill();
  }
}

function ticks(draw: Draw, start: number, end: number, x: (t: number) => number, y: number): void {
  const room = Math.max(2, Math.floor((x(end) - GUTTER) / 74));
  const step = TICKS_S.find((s) => (end - start) / s <= room) ?? 300;
  draw.fillStyle = colour("ink-2");
  draw.textBaseline = "alphabetic";
  for (let t = Math.ceil(start / step) * step; t <= end; t += step) {
    const at = x(t);
    const words = clock(t);
    const half = draw.measureText(words).width / 2;
    draw.textAlign = "center";
    draw.fillRect(at - 0.5, BAND + 8, 1, 5);
    draw.fillText(words, Math.min(Math.max(at, GUTTER + half - 8), x(end) - half), y - 5);
  }
}

function nearest(times: readonly number[], t: number): number {
  let best = times.length - 1;
  for (let i = best; i >= 0; i -= 1) {
    if (Math.abs(times[i]! - t) <= Math.abs(times[best]! - t)) best = i;
  }
  return best;
}
