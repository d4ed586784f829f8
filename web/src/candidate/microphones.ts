/** The choice of a microphone, in every place where there is one. */

import { el, h } from "../dom";
import type { Devices } from "../microphone/devices";
import { onLanguage, words } from "./language";

export function bindChoice(id: string, devices: Devices, chosen: (device: string | null) => void): void {
  const select = el<HTMLSelectElement>(id);
  let drawn = "";
  const update = (): void => {
    const { standard } = words().mic;
    const key = JSON.stringify([devices.choices, standard]);
    if (key !== drawn) {
      drawn = key;
      const options = devices.choices.map((one) => h("option", { value: one.id ?? "" }, one.id === null ? standard : one.label));
      select.replaceChildren(...options);
    }
    const there = devices.choices.some(({ id: one }) => one === devices.chosen);
    select.value = there ? (devices.chosen ?? "") : "";
  };
  select.onchange = () => {
    devices.choose(select.value || null);
    chosen(devices.chosen);
  };
  devices.onChange(update);
  onLanguage(update);
  update();
}
