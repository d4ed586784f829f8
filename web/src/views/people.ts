/** Who is enrolled, with export and deletion; and the choice of who is expected. */

import type { Profile } from "voxwatch-client";
import { el, h, say, show } from "../dom";
import { icon } from "../icons";
import { duration } from "../words";

export interface PeopleActions {
  remove(name: string): void;
  save(name: string): void;
}

export function updatePeople(profiles: readonly Profile[], actions: PeopleActions): void {
  el("people").replaceChildren(...profiles.map((profile) => row(profile, actions)));
  show(el("people-empty"), profiles.length === 0);
}

function row(profile: Profile, actions: PeopleActions): HTMLElement {
  const { name } = profile;
  const save = h("button", { class: "small", type: "button", "aria-label": `Export ${name}` });
  save.append(icon("save"));
  save.title = "Export";
  save.onclick = () => actions.save(name);
  const remove = h("button", { class: "small", type: "button", "aria-label": `Delete ${name}` });
  remove.append(icon("remove"));
  remove.title = "Delete";
  remove.onclick = () => actions.remove(name);
  const usable = profile.usable
    ? null
    : h("p", { class: "quiet" }, "Enrolled with another model: enrol again to use it.");
  return h(
    "li",
    {},
    h("div", { class: "who" }, h("b", {}, name), save, remove),
    h("p", { class: "quiet" }, facts(profile)),
    usable,
  );
}

function facts(profile: Profile): string {
  const parts = profile.prototypes === 1 ? "" : ` in ${profile.prototypes} parts`;
  const kept = profile.expires_at === null ? "kept until deleted" : `until ${day(profile.expires_at)}`;
  const speech = `${duration(profile.net_speech_s)} of speech${parts}`;
  return `${speech} · consent ${day(profile.consent.given_at)} · ${kept}`;
}

function day(epoch_s: number): string {
  return new Date(1000 * epoch_s).toLocaleDateString(undefined, {
    day: "numeric",
    month: "short",
    year: "numeric",
  });
}

/** The choice of who is expected; "" asks who it is. `listed`: it is known who is enrolled. */
export function updateClaims(
  profiles: readonly Profile[],
  chosen: string,
  listed: boolean,
): void {
  const select = el<HTMLSelectElement>("claim");
  const names = profiles.filter((p) => p.usable).map((p) => p.name);
  const options: [value: string, words: string][] = [
    ["", names.length || !listed ? "Everyone enrolled – who is it?" : "Nobody – tell changes of voice"],
    ...names.map((name): [string, string] => [name, `${name} – is it them?`]),
  ];
  const key = JSON.stringify(options);
  if (select.dataset.options !== key) {
    select.dataset.options = key;
    select.replaceChildren(...options.map(([value, words]) => h("option", { value }, words)));
  }
  if (select.value !== chosen) select.value = chosen;
}

/** What the choice cannot do while somebody else's stream is watched. */
export function noteClaims(words: string): void {
  say(el("claim-note"), words);
  show(el("claim-note"), words !== "");
}
