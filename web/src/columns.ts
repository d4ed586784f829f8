/** Traces of several speakers as columns over one common time, the way uPlot reads them. */

import type { View } from "./view";

export type Scale = "llr" | "posterior";

/** A speaker not scored at a time has `undefined` there; a pause is a `null`, and not bridged. */
export type Column = (number | null | undefined)[];

export function columns(view: View, speakers: readonly string[], scale: Scale): Column[] {
  const traces = speakers.map((speaker) => view.traces[speaker]!);
  const pause = 2.5 * Math.max(view.hop_s, view.lags.hop_s ?? 0);
  const own = traces.map((trace) => new Map(trace.t.map((t, i) => [t, trace[scale][i]!])));
  const gaps = traces.map((trace) => pauses(trace.t, pause));
  const middles = gaps.flatMap((pairs) => pairs.map(([from, to]) => (from + to) / 2));
  const times = [...new Set([...traces.flatMap((trace) => trace.t), ...middles])].sort(
    (a, b) => a - b,
  );
  const column = (i: number): Column =>
    times.map((t) => own[i]!.get(t) ?? (inside(gaps[i]!, t) ? null : undefined));
  return [times, ...traces.map((_, i) => column(i))];
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

/** The two bounds on the scale shown; null while they are not known. */
export function thresholds(
  view: View,
  scale: Scale,
): { accept: number; reject: number } | null {
  if (!view.bounds || view.mode === "changes") return null;
  const { accept_llr: accept, reject_llr: reject } = view.bounds;
  if (scale === "llr") return { accept, reject };
  const offset = priorLogit(view);
  return { accept: sigmoid(accept + offset), reject: sigmoid(reject + offset) };
}

/** The server's prior, which it does not say, from a score's posterior and LLR. */
function priorLogit(view: View): number {
  const score = view.lastScore;
  if (!score || score.posterior <= 0 || score.posterior >= 1) return 0;
  const logit = Math.log(score.posterior / (1 - score.posterior)) - score.llr;
  return Math.abs(logit) < 20 ? logit : 0; // rounding at the ends of the scale says nothing
}

function sigmoid(logit: number): number {
  return 1 / (1 + Math.exp(-logit));
}
