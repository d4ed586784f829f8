/** Level and quality lights, and one piece of advice. */

import { el, h, say } from "../dom";
import { icon, type IconName } from "../icons";
import { decibels } from "../levels";
import type { Quality } from "voxwatch-client";
import { readings, soundAdvice, type Light } from "../words";

const ICONS: Record<Light, IconName> = { good: "check", bad: "alert", none: "clock" };

let drawn = "";

export function updateSound(quality: Quality | null): void {
  const lights = readings(quality);
  const key = JSON.stringify(lights);
  if (key === drawn) return;
  drawn = key;
  el("lights").replaceChildren(
    ...lights.map(({ label, light, value, word }) =>
      h(
        "li",
        { "data-light": light },
        icon(ICONS[light]) as unknown as HTMLElement,
        h("div", {}, h("b", {}, word ? `${label}: ${word}` : label), h("span", {}, value)),
      ),
    ),
  );
  say(el("advice"), soundAdvice(quality));
}

/** The level meter: a peak of 0..127 on a scale of 60 dB. */
export function updateMeter(bar: HTMLElement, peak: number): void {
  const share = Math.max(0, Math.min(1, 1 + decibels(peak) / 60));
  bar.style.transform = `scaleX(${share.toFixed(3)})`;
}
