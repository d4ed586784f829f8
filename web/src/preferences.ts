/** Theme and keyboard shortcuts. */

import { el, h, keep, kept, say } from "./dom";
import { forgetColours } from "./views/palette";

type Choice = "auto" | "light" | "dark";
type ChoiceWords = Readonly<Record<Choice, string>>;
const NEXT: Record<Choice, Choice> = { auto: "light", light: "dark", dark: "auto" };
const WORDS: ChoiceWords = { auto: "Theme: system", light: "Theme: light", dark: "Theme: dark" };

export class Theme {
  private choice: Choice = (kept("localStorage", "theme") as Choice | null) ?? "auto";
  private readonly dark = window.matchMedia("(prefers-color-scheme: dark)");

  constructor(
    private readonly onChange: () => void,
    private readonly words = (): ChoiceWords => WORDS,
  ) {
    this.dark.addEventListener("change", () => this.apply());
    el("theme").onclick = () => this.next();
    this.apply();
  }

  next(): void {
    this.choice = NEXT[this.choice];
    keep("localStorage", "theme", this.choice === "auto" ? null : this.choice);
    this.apply();
  }

  private apply(): void {
    const system = this.dark.matches ? "dark" : "light";
    document.documentElement.dataset.theme = this.choice === "auto" ? system : this.choice;
    this.draw();
    forgetColours();
    this.onChange();
  }

  /** Its words, which may be in another language now. */
  draw(): void {
    const words = this.words()[this.choice];
    say(el("theme-words"), words);
    el("theme").setAttribute("aria-label", words);
  }
}

export interface Shortcut {
  key: string;
  words: string;
  run(): void;
}

/** Single keys, which can be turned off (WCAG 2.1.4) and never act while something is written. */
export function bindShortcuts(shortcuts: readonly Shortcut[]): void {
  const on = el<HTMLInputElement>("shortcuts-on");
  on.checked = kept("localStorage", "shortcuts") !== "off";
  on.onchange = () => keep("localStorage", "shortcuts", on.checked ? null : "off");
  el("shortcuts").replaceChildren(
    ...shortcuts.map(({ key, words }) =>
      h("div", {}, h("dt", {}, h("kbd", {}, key.toUpperCase())), h("dd", {}, words)),
    ),
  );
  document.addEventListener("keydown", (event) => {
    const target = event.target as HTMLElement;
    const writing = target.closest("input:not([type=radio], [type=checkbox], [type=range]), select");
    if (!on.checked || writing || event.repeat) return;
    if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) {
      return;
    }
    const shortcut = shortcuts.find(({ key }) => key === event.key.toLowerCase());
    if (!shortcut) return;
    event.preventDefault();
    shortcut.run();
  });
}

/** Buttons that close their dialog, and a click beside it. */
export function bindDialogs(): void {
  for (const button of document.querySelectorAll<HTMLElement>("[data-close]")) {
    button.onclick = () => button.closest("dialog")?.close();
  }
}
