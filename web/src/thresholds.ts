/** The threshold control's arithmetic: a target, the bound it means, and what the model does there. */

import type { ExpectedRate } from "voxwatch-client";

export const LOWEST_TARGET = 0.0005;
export const HIGHEST_TARGET = 0.2;
const STEPS = 100;

/** Slider position 0..100 to a false-accept target: equal steps are equal factors. */
export function targetAt(position: number): number {
  const exact = LOWEST_TARGET * (HIGHEST_TARGET / LOWEST_TARGET) ** (position / STEPS);
  return Number(exact.toPrecision(2));
}

/** The slider position nearest to a target. */
export function positionOf(target: number): number {
  const share = Math.log(target / LOWEST_TARGET) / Math.log(HIGHEST_TARGET / LOWEST_TARGET);
  return Math.round(STEPS * Math.max(0, Math.min(1, share)));
}

/** Wald's bound above which a claim is accepted. */
export function acceptBound(falseAccept: number, miss: number): number {
  return Math.log((1 - miss) / falseAccept);
}

export interface Rates {
  /** Share of strangers who are accepted. */
  accepted: number;
  /** Share of the right speakers who are not. */
  notAccepted: number;
}

/**
 * Rates to be expected after so much net speech where `stated` false accepts are, between those
 * that were measured. More speech than was measured counts as the most that was. Null where
 * nothing was measured, or not with so few or so many false accepts.
 */
export function ratesAt(
  rows: readonly ExpectedRate[],
  speech_s: number,
  stated: number,
): Rates | null {
  const measured = [...new Set(rows.map((row) => row[1]))].sort((a, b) => a - b);
  const along = measured.map((one) => {
    const curve = rows.filter((row) => row[1] === one).sort((a, b) => a[0] - b[0]);
    const read = (column: 2 | 3) => between(curve.map((row) => [row[0], row[column]]), speech_s)!;
    return { stated: one, accepted: read(2), notAccepted: read(3) };
  });
  const [least, most] = [measured[0], measured.at(-1)];
  if (least === undefined || most === undefined || stated < least || stated > most) return null;
  const read = (name: keyof Rates) => between(along.map((row) => [row.stated, row[name]]), stated)!;
  return { accepted: read("accepted"), notAccepted: read("notAccepted") };
}

/** The value at `x` between the points, which rise; by equal factors. Beyond them the last one. */
function between(points: readonly (readonly [number, number])[], x: number): number | undefined {
  const above = points.findIndex(([at]) => at >= x);
  const [before, after] = [points[above - 1], points[above]];
  if (!after) return points.at(-1)?.[1];
  if (!before || after[0] === x) return after[1];
  const share = Math.log(x / before[0]) / Math.log(after[0] / before[0]);
  return before[1] + share * (after[1] - before[1]);
}

/** A rate in words of fitting precision: "0.05 %", "1.2 %", "12 %". */
export function percent(rate: number): string {
  const value = 100 * rate;
  if (value === 0) return "0 %";
  if (value < 0.01) return "under 0.01 %";
  return `${value < 0.1 ? value.toFixed(2) : value < 10 ? value.toFixed(1) : value.toFixed(0)} %`;
}
