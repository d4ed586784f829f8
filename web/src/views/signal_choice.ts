/** How much of the signal is shown, and on which scale: what the visitor has chosen. */

import { el } from "../dom";
import type { Scope } from "./scope";

type Scale = "llr" | "posterior";

export class SignalChoice {
  constructor(
    private readonly scope: Scope,
    private readonly changed: () => void,
  ) {
    el("scale").onchange = ({ target }) =>
      this.setScale((target as HTMLInputElement).value as Scale);
    el("range").onchange = ({ target }) => this.setRange(Number((target as HTMLInputElement).value));
  }

  setRange(seconds: number): void {
    el("range").querySelector<HTMLInputElement>(`[value="${seconds}"]`)!.checked = true;
    this.scope.setRange(seconds);
    this.changed();
  }

  toggleScale(): void {
    const [llr, posterior] = el("scale").querySelectorAll<HTMLInputElement>("input");
    const other = llr!.checked ? posterior! : llr!;
    other.checked = true;
    this.setScale(other.value as Scale);
  }

  private setScale(scale: Scale): void {
    this.scope.setScale(scale);
    this.changed();
  }
}
