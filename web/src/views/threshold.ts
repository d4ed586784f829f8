/** The slider of the false-accept target, and what it would cost. */

import { el, rows, say } from "../dom";
import { acceptBound, percent, positionOf, ratesAt, targetAt } from "../thresholds";
import type { ExpectedRate } from "voxwatch-client";
import { duration } from "../words";

/** Measured rates, and for whom they are told. */
export interface Expected {
  rates: readonly ExpectedRate[];
  speech_s: number;
  /** They are of the enrolment of the stream that is shown; else of one of full length. */
  own: boolean;
}

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
    expected: Expected,
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
    const { rates: measured, speech_s } = expected;
    const rates = ratesAt(measured, speech_s, target);
    rows(el("rates"), [
      ["Strangers accepted", rates ? percent(rates.accepted) : "–"],
      ["The right voice not accepted", rates ? percent(rates.notAccepted) : "–"],
      ["Bound for a match (LLR)", bound.toFixed(1)],
    ]);
    say(el("rates-note"), noteOf(expected, rates !== null, fixed));
  }
}

function noteOf({ rates: measured, speech_s, own }: Expected, known: boolean, fixed: boolean): string {
  const enrolment = own ? "this enrolment" : "an enrolment of full length";
  const source =
    measured.length === 0
      ? "The rates were not measured for this model."
      : known
        ? `${after(measured, speech_s)} of clean speech with ${enrolment}, as measured on speakers the model does not know.`
        : "Rates were not measured for so few or so many strangers accepted.";
  return fixed ? `${source} Whoever opened this stream set its target.` : source;
}

function after(measured: readonly ExpectedRate[], speech_s: number): string {
  const most = Math.max(...measured.map((row) => row[0]));
  return speech_s > most ? `After ${duration(most)} and more` : `After ${duration(speech_s)}`;
}
