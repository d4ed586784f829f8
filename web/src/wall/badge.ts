/** A shape of a colour with a sign in it: three ways to tell the same thing. */

import { h } from "../dom";
import { icon } from "../icons";
import { lookOf } from "./kinds";

export function badge(kind: string): HTMLElement {
  const { tone, shape, icon: sign } = lookOf(kind);
  const drawn = icon(sign) as unknown as HTMLElement;
  return h("span", { class: "badge", "data-tone": tone, "data-shape": shape, "aria-hidden": "true" }, drawn);
}
