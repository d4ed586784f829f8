/** How many there are of each kind; a click shows only those. */

import { el, h, say } from "../dom";
import { badge } from "./badge";
import type { Placed } from "./order";
import { lookOf, orderOf } from "./kinds";

export class Chips {
  private readonly place = el("kinds");
  private readonly chips = new Map<string, HTMLButtonElement>();

  constructor(private readonly choose: (kind: string) => void) {}

  draw(placed: readonly Placed[], chosen: string): void {
    const counts = new Map<string, number>();
    for (const { status } of placed) counts.set(status.kind, (counts.get(status.kind) ?? 0) + 1);
    if (chosen && !counts.has(chosen)) counts.set(chosen, 0);
    const kinds = [...counts.keys()].sort((a, b) => orderOf(a) - orderOf(b));
    const shown = [...this.chips.keys()];
    if (kinds.join() !== shown.join()) this.lay(kinds);
    for (const [kind, count] of counts) {
      const chip = this.chips.get(kind)!;
      say(chip.querySelector("b")!, String(count));
      chip.setAttribute("aria-pressed", String(kind === chosen));
    }
  }

  private lay(kinds: readonly string[]): void {
    const focused = (document.activeElement as HTMLElement | null)?.dataset.chip;
    const before = new Map(this.chips);
    this.chips.clear();
    for (const kind of kinds) this.chips.set(kind, before.get(kind) ?? this.make(kind));
    this.place.replaceChildren(...this.chips.values());
    if (focused) this.chips.get(focused)?.focus();
  }

  private make(kind: string): HTMLButtonElement {
    const words = h("span", {}, lookOf(kind).word);
    const chip = h("button", { type: "button", "data-chip": kind }, badge(kind), words, h("b"));
    chip.onclick = () => this.choose(chip.getAttribute("aria-pressed") === "true" ? "" : kind);
    return chip;
  }
}
