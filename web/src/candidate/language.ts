/** In which language the page speaks: the browser's, until another is chosen. */

import { el, h, keep, kept, say } from "../dom";
import { DE } from "./words/de";
import { EN, type Words } from "./words/en";
import { ES } from "./words/es";
import { FR } from "./words/fr";
import { IT } from "./words/it";
import { KO } from "./words/ko";
import { PT } from "./words/pt";
import { TR } from "./words/tr";

export type Say = (words: Words) => string;

/** By RFC 5646, each with its own name. */
export const LANGUAGES = {
  de: { name: "Deutsch", words: DE },
  en: { name: "English", words: EN },
  es: { name: "Español", words: ES },
  fr: { name: "Français", words: FR },
  it: { name: "Italiano", words: IT },
  ko: { name: "한국어", words: KO },
  pt: { name: "Português", words: PT },
  tr: { name: "Türkçe", words: TR },
} satisfies Record<string, { name: string; words: Words }>;

export type Language = keyof typeof LANGUAGES;

const CHOSEN = "language";
const MOST = 16; // that the server takes

let language: Language = "en";
const said = new Map<Element, Say>();
const listeners: (() => void)[] = [];

/** The first of these, as a browser lists them ("pt-BR", "en"), that there is; else English. */
export function bestOf(languages: readonly string[]): Language {
  for (const one of languages) {
    const primary = one.split("-")[0]!.toLowerCase();
    if (Object.hasOwn(LANGUAGES, primary)) return primary as Language;
  }
  return "en";
}

/** Those that are read here, best first: what the server shows is in the first that it has. */
export function readHere(): string[] {
  return [...new Set([language, ...navigator.languages])].slice(0, MOST);
}

export function words(): Words {
  return LANGUAGES[language].words;
}

/** `{braces}` filled in. */
export function fill(text: string, values: Record<string, string>): string {
  return text.replace(/\{(\w+)\}/g, (whole, name: string) => values[name] ?? whole);
}

/** "12 seconds", "3 minutes": as much of sound. */
export function amount(seconds: number): string {
  const minutes = seconds >= 120;
  const unit = { style: "unit", unit: minutes ? "minute" : "second", unitDisplay: "long" } as const;
  const whole = Math.max(1, Math.floor(minutes ? seconds / 60 : seconds));
  return new Intl.NumberFormat(language, unit).format(whole);
}

/** "14:30", with the day where it is another than today; `at` in seconds since 1970. */
export function until(at: number): string {
  const date = new Date(1000 * at);
  const today = date.toDateString() === new Date().toDateString();
  const day = today ? {} : ({ day: "numeric", month: "long" } as const);
  return date.toLocaleString(language, { ...day, hour: "2-digit", minute: "2-digit" });
}

/** Say something in the language of the page, and again when that is another. */
export function tell(element: Element, of: Say | null): void {
  if (of === null) said.delete(element);
  else said.set(element, of);
  say(element, of?.(words()) ?? "");
}

/** Call this when the language is another. */
export function onLanguage(listener: () => void): void {
  listeners.push(listener);
}

/** Begin: the texts that stand in the page, and the choice of a language. */
export function bindLanguage(): void {
  for (const element of document.querySelectorAll<HTMLElement>("[data-say]")) {
    const [section = "", key = ""] = element.dataset.say!.split(".");
    said.set(element, (w) => (w as unknown as Record<string, Record<string, string>>)[section]![key]!);
  }
  const select = el<HTMLSelectElement>("language");
  const options = Object.entries(LANGUAGES).map(([tag, { name }]) => h("option", { value: tag, lang: tag }, name));
  select.replaceChildren(...options);
  select.onchange = () => {
    keep("localStorage", CHOSEN, select.value);
    speak(bestOf([select.value]));
  };
  speak(bestOf([kept("localStorage", CHOSEN) ?? "", ...navigator.languages]));
}

function speak(chosen: Language): void {
  language = chosen;
  document.documentElement.lang = chosen;
  const select = el<HTMLSelectElement>("language");
  select.value = chosen;
  select.setAttribute("aria-label", words().page.language);
  el("steps").setAttribute("aria-label", words().page.steps);
  for (const [element, of] of said) {
    if (element.isConnected) say(element, of(words()));
    else said.delete(element);
  }
  for (const listener of listeners) listener();
}
