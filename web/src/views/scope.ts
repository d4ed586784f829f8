/** Waveform with the speech ribbon above the scores, states and turns below; one time axis. */

import { el, h, say, show } from "../dom";
import type { View } from "../view";
import type { Waveform } from "../waveform";
import { llrWords } from "../words";
import { colour, GUTTER, pen, seriesColour } from "./palette";
import { drawTimeline, markChanges, name, scale } from "./timeline";
import { Trace, type Scale } from "./trace";

const RIBBON = 10;

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
    drawTimeline(this.timeline, view, start, end);
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

  private drawLegend(view: View): void {
    const speakers = Object.keys(view.traces).slice(0, 6);
    const t = this.pointed;
    const shown = speakers.map((speaker) => {
      const trace = view.traces[speaker]!;
      const at = t === null ? trace.t.length - 1 : nearest(trace.t, t);
      return { speaker, llr: trace.evidence[at] ?? trace.llr[at] ?? 0 };
    });
    const rows = shown.map(
      (s) => `${s.speaker} ${llrWords(s.llr)}`,
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
    );
    say(el("legend-note"), note);
    show(el("legend-note"), note !== "");
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
  const turns = view.utterances.length > 0 ? " Bars: each turn by itself." : "";
  return `Thick: all the speech so far, which decides. Thin: ${window} alone.${turns}`;
}

function nearest(times: readonly number[], t: number): number {
  let best = times.length - 1;
  for (let i = best; i >= 0; i -= 1) {
    if (Math.abs(times[i]! - t) <= Math.abs(times[best]! - t)) best = i;
  }
  return best;
}
