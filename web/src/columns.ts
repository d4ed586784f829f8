/** Traces of several speakers as columns over one common time, the way uPlot reads them. */

import type { Utterance } from "voxwatch-client";
import { sigmoid, type Trace, type View } from "./view";

export type Scale = "llr" | "posterior";

/** What a line shows: the run's evidence, which decides, or single windows beside it. */
type Line = "run" | "window";

/** A speaker not scored at a time has `undefined` there; a pause is a `null`, and not bridged. */
export type Column = (number | null | undefined)[];

/** The times, then each speaker's run, then each speaker's windows where they are another thing. */
export function columns(view: View, speakers: readonly string[], scale: Scale): Column[] {
  const traces = speakers.map((speaker) => view.traces[speaker]!);
  const pause = 2.5 * Math.max(view.hop_s, view.lags.hop_s ?? 0);
  const lines = (["run", "window"] as const).map((line) =>
    traces.map((trace) => values(trace, line, scale, view.priorLogit)),
  );
  const gaps = traces.map((trace) => pauses(trace.t, pause));
  const middles = gaps.flatMap((pairs) => pairs.map(([from, to]) => (from + to) / 2));
  const times = [...new Set([...traces.flatMap((trace) => trace.t), ...middles])].sort(
    (a, b) => a - b,
  );
  const column = (own: Map<number, number>, i: number): Column =>
    times.map((t) => own.get(t) ?? (inside(gaps[i]!, t) ? null : undefined));
  return [times, ...lines.flatMap((line) => line.map(column))];
}

/** What one line says at each time. Without evidence the windows are all there is. */
function values(trace: Trace, line: Line, scale: Scale, prior: number): Map<number, number> {
  const value = (i: number): number | null => {
    const evidence = trace.evidence[i] ?? null;
    if (line === "window") return evidence === null ? null : trace[scale][i]!;
    if (evidence === null) return trace[scale][i]!;
    return scale === "llr" ? evidence : sigmoid(evidence + prior);
  };
  return new Map(
    trace.t.flatMap((t, i): [number, number][] => {
      const found = value(i);
      return found === null ? [] : [[t, found]];
    }),
  );
}

/** Where nothing was scored for longer than that. */
function pauses(times: readonly number[], pause: number): [from: number, to: number][] {
  return times.flatMap((t, i): [number, number][] => {
    const before = times[i - 1];
    return before !== undefined && t - before > pause ? [[before, t]] : [];
  });
}

function inside(pairs: readonly [number, number][], t: number): boolean {
  return pairs.some(([from, to]) => t > from && t < to);
}

/**
 * Where the labels of the two bounds stand, in pixels from the top: between the lines while there
 * is room for both, else outside of them.
 */
export function boundLabels(
  accept: number,
  reject: number,
  line: number,
): { accept: [y: number, baseline: "top" | "bottom"]; reject: [number, "top" | "bottom"] } {
  const gap = line / 3;
  if (reject - accept >= 2 * line + 3 * gap) {
    return { accept: [accept + gap, "top"], reject: [reject - gap, "bottom"] };
  }
  return { accept: [accept - gap, "bottom"], reject: [reject + gap, "top"] };
}

/** The two bounds on the scale shown; null while they are not known. */
export function thresholds(
  view: View,
  scale: Scale,
): { accept: number; reject: number } | null {
  if (!view.bounds || view.mode === "changes") return null;
  const { accept_llr: accept, reject_llr: reject } = view.bounds;
  if (scale === "llr") return { accept, reject };
  const offset = view.priorLogit;
  return { accept: sigmoid(accept + offset), reject: sigmoid(reject + offset) };
}

/** Where a turn stands on the scale shown: by what was held against the bounds. */
export function turnHeight(view: View, turn: Utterance, scale: Scale): number | null {
  const evidence = turn.evidence ?? null; // records of earlier versions have none
  if (evidence === null || scale === "llr") return evidence;
  return sigmoid(evidence + view.priorLogit);
}
