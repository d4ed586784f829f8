/** Evidence over time, each window's score thinly beside it, the bounds and the doubt between. */

import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { boundLabels, columns, thresholds, turnHeight, type Scale } from "../columns";
import type { View } from "../view";
import type { Utterance } from "voxwatch-client";
import { colour, FONT, GUTTER, seriesColour } from "./palette";
import { STATE_COLOURS } from "./timeline";

export type { Scale };

const MOST = 6; // speakers drawn; more lines than that cannot be told apart

export class Trace {
  private plot: uPlot | null = null;
  private built = "";
  private scale: Scale = "llr";
  private view: View | null = null;
  private start = 0;
  private height = 0;

  constructor(
    private readonly place: HTMLElement,
    private readonly onPoint: (t: number | null) => void,
  ) {}

  setScale(scale: Scale): void {
    this.scale = scale;
  }

  update(view: View, start: number, end: number): void {
    this.view = view;
    this.start = start;
    const speakers = Object.keys(view.traces).slice(0, MOST);
    this.build(speakers);
    const plot = this.plot;
    if (!plot) return;
    const data = columns(view, speakers, this.scale) as uPlot.AlignedData;
    plot.batch(() => {
      plot.setData(data, false);
      plot.setScale("x", { min: start, max: end });
      const [min, max] = this.yRange(data);
      plot.setScale("y", { min, max });
    });
  }

  /** A new plot where the lines, the theme, the scale or the size are others. */
  private build(speakers: string[]): void {
    const { clientWidth: width, clientHeight: height } = this.place;
    if (width === 0) return;
    const theme = document.documentElement.dataset.theme;
    const key = [width, height, theme, this.scale, ...speakers].join("\n");
    if (key === this.built) return;
    this.built = key;
    this.height = height;
    this.plot?.destroy();
    this.plot = new uPlot(this.options(speakers, width, height), [[]], this.place);
  }

  private options(speakers: string[], width: number, height: number): uPlot.Options {
    const posterior = this.scale === "posterior";
    return {
      width,
      height,
      padding: [6, 0, 6, 0],
      legend: { show: false },
      cursor: { y: false, drag: { x: false, y: false }, points: { show: speakers.length > 0 } },
      scales: { x: { time: false, auto: false }, y: { auto: false } },
      axes: [
        { show: false },
        {
          size: GUTTER,
          stroke: colour("ink-2"),
          font: `12px ${FONT}`,
          grid: { stroke: colour("line"), width: 1 },
          ticks: { show: false },
          gap: 8,
          space: Math.max(28, this.height / 6),
          values: (_, values) => values.map((v) => (posterior ? `${Math.round(100 * v)} %` : signed(v))),
        },
      ],
      series: [
        {},
        ...speakers.map((speaker, i) => ({
          label: speaker,
          stroke: seriesColour(i),
          width: 2,
          points: { show: true, size: 5, fill: seriesColour(i) },
        })),
        ...speakers.map((speaker, i) => ({
          label: `${speaker}, single windows`,
          stroke: seriesColour(i),
          width: 1,
          alpha: 0.5,
          points: { show: false },
        })),
      ],
      hooks: {
        drawAxes: [(plot) => this.drawBounds(plot)],
        draw: [
          (plot) => this.drawTurns(plot),
          (plot) => this.drawChanges(plot),
          (plot) => this.drawLabels(plot),
        ],
        setCursor: [
          (plot) => {
            const left = plot.cursor.left ?? -1;
            this.onPoint(left < 0 ? null : plot.posToVal(left, "x"));
          },
        ],
      },
    };
  }

  private yRange(data: uPlot.AlignedData): [number, number] {
    if (this.scale === "posterior") return [0, 1];
    const found = this.view && thresholds(this.view, this.scale);
    let [low, high] = found ? [found.reject, found.accept] : [-3, 3];
    for (const column of data.slice(1)) {
      for (const value of column ?? []) {
        if (value === null || value === undefined) continue;
        low = Math.min(low, value);
        high = Math.max(high, value);
      }
    }
    for (const [, value] of this.turns()) {
      low = Math.min(low, value);
      high = Math.max(high, value);
    }
    const margin = 0.12 * (high - low);
    return [low - margin, high + margin];
  }

  private drawBounds(plot: uPlot): void {
    const found = this.view && thresholds(this.view, this.scale);
    if (!found) return;
    const { ctx, bbox } = plot;
    const ratio = uPlot.pxRatio;
    const accept = plot.valToPos(found.accept, "y", true);
    const reject = plot.valToPos(found.reject, "y", true);
    ctx.save();
    ctx.fillStyle = colour("uncertain");
    ctx.fillRect(bbox.left, accept, bbox.width, reject - accept);
    ctx.setLineDash([6 * ratio, 4 * ratio]);
    ctx.lineWidth = 1.5 * ratio;
    for (const [y, name] of [
      [accept, "good"],
      [reject, "bad"],
    ] as const) {
      ctx.strokeStyle = colour(name);
      ctx.beginPath();
      ctx.moveTo(bbox.left, y);
      ctx.lineTo(bbox.left + bbox.width, y);
      ctx.stroke();
    }
    ctx.restore();
  }

  /** What the bounds are, readable over whatever was drawn there. */
  private drawLabels(plot: uPlot): void {
    const found = this.view && thresholds(this.view, this.scale);
    if (!found) return;
    const { ctx, bbox } = plot;
    const ratio = uPlot.pxRatio;
    const line = 12 * ratio;
    const places = boundLabels(
      plot.valToPos(found.accept, "y", true),
      plot.valToPos(found.reject, "y", true),
      line,
    );
    ctx.save();
    ctx.font = `${line}px ${FONT}`;
    ctx.textAlign = "left";
    const x = bbox.left + 6 * ratio;
    for (const [words, [y, baseline], name] of [
      ["match above", places.accept, "good"],
      ["no match below", places.reject, "bad"],
    ] as const) {
      ctx.globalAlpha = 0.85;
      ctx.fillStyle = colour("card");
      const top = baseline === "top" ? y : y - line;
      ctx.fillRect(x - 3 * ratio, top - ratio, ctx.measureText(words).width + 6 * ratio, line + 2 * ratio);
      ctx.globalAlpha = 1;
      ctx.fillStyle = colour(name);
      ctx.textBaseline = baseline;
      ctx.fillText(words, x, y);
    }
    ctx.restore();
  }

  /** A bar for each turn, as long as it was and as high as its own evidence. */
  private drawTurns(plot: uPlot): void {
    const { ctx, bbox } = plot;
    const thick = 4 * uPlot.pxRatio;
    ctx.save();
    ctx.globalAlpha = 0.75;
    for (const [turn, value] of this.turns()) {
      const from = Math.max(plot.valToPos(turn.start, "x", true), bbox.left);
      const to = Math.min(plot.valToPos(turn.end, "x", true), bbox.left + bbox.width);
      if (to <= from) continue;
      ctx.fillStyle = colour(STATE_COLOURS[turn.state]);
      ctx.fillRect(from, plot.valToPos(value, "y", true) - thick / 2, to - from, thick);
    }
    ctx.restore();
  }

  private turns(): [turn: Utterance, value: number][] {
    const { view } = this;
    if (!view) return [];
    return view.utterances.flatMap((turn): [Utterance, number][] => {
      const value = turnHeight(view, turn, this.scale);
      return value === null || turn.end < this.start ? [] : [[turn, value]];
    });
  }

  private drawChanges(plot: uPlot): void {
    const { ctx, bbox } = plot;
    ctx.fillStyle = colour("ink");
    for (const change of this.view?.changes ?? []) {
      const x = plot.valToPos(change.at, "x", true);
      if (x >= bbox.left && x <= bbox.left + bbox.width) {
        ctx.fillRect(x - 0.75 * uPlot.pxRatio, 0, 1.5 * uPlot.pxRatio, ctx.canvas.height);
      }
    }
  }
}

function signed(value: number): string {
  const words = Number.isInteger(value) ? String(Math.abs(value)) : Math.abs(value).toFixed(1);
  return value > 0 ? `+${words}` : value < 0 ? `−${words}` : "0";
}
