/** The slider of the false-accept target, and what it would cost. */

import { el, rows, say } from "../dom";
import { acceptBound, percent, positionOf, ratesAt, targetAt } from "../thresholds";
import type { OperatingPoint } from "../wire";

export class Threshold {
  private readonly slider = el<HTMLInputElement>("target");

  /** `onChange` while the slider moves; `onSettle` when it is let go. */
  constructor(onChange: (target: number) => void, onSettle: (target: number) => void) {
    this.slider.oninput = () => onChange(targetAt(Number(this.slider.value)));
    this.slider.onchange = () => onSettle(targetAt(Number(this.slider.value)));
  }

  update(
    target: number,
    miss: number,
    points: readonly OperatingPoint[] | null,
    fixed: boolean,
  ): void {
    const position = String(positionOf(target));
    if (document.activeElement !== this.slider && this.slider.value !== position) {
      this.slider.value = position;
    }
    this.slider.disabled = fixed;
    this.slider.setAttribute("aria-valuetext", percent(target));
    say(el("target-words"), percent(target));
    const bound = acceptBound(target, miss);
    const rates = ratesAt(points, bound);
    rows(el("rates"), [
      ["Strangers accepted", rates ? percent(rates.falseAccept) : "–"],
      ["The right voice not accepted", rates ? percent(rates.falseReject) : "–"],
      ["Bound for a match (LLR)", bound.toFixed(1)],
    ]);
    say(el("rates-note"), noteOf(points, rates !== null, fixed));
  }
}

function noteOf(
  points: readonly OperatingPoint[] | null,
  known: boolean,
  fixed: boolean,
): string {
  const source = !points
    ? "The rates were not measured for this model."
    : known
      ? "Rates of single scores on 3 s of speech, estimated on the model's evaluation, whose enrolments are as short. Decisions rest on more speech than that."
      : "The evaluation does not reach to this bound.";
  return fixed ? `${source} Whoever opened this stream set its target.` : source;
}
