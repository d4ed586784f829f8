/** The threshold control's arithmetic: a target, the bound it means, and what the model does there. */

import type { OperatingPoint } from "./wire";

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

/**
 * Estimated false-accept and false-reject rate of a threshold, between the measured points.
 * Null where nothing was measured or the threshold lies outside of it.
 */
export function ratesAt(
  points: readonly OperatingPoint[] | null,
  llr: number,
): { falseAccept: number; falseReject: number } | null {
  if (!points || points.length === 0) return null;
  const rows = [...points].sort((a, b) => a[0] - b[0]);
  const above = rows.findIndex((row) => row[0] >= llr);
  const after = rows[above];
  if (!after) return null;
  const before = rows[above - 1];
  if (!before) return after[0] === llr ? { falseAccept: after[1], falseReject: after[2] } : null;
  const share = (llr - before[0]) / (after[0] - before[0]);
  return {
    falseAccept: before[1] + share * (after[1] - before[1]),
    falseReject: before[2] + share * (after[2] - before[2]),
  };
}

/** A rate in words of fitting precision: "0.05 %", "1.2 %", "12 %". */
export function percent(rate: number): string {
  const value = 100 * rate;
  if (value === 0) return "0 %";
  if (value < 0.01) return "under 0.01 %";
  return `${value < 0.1 ? value.toFixed(2) : value < 10 ? value.toFixed(1) : value.toFixed(0)} %`;
}
