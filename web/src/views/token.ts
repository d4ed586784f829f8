/** The dialog that asks for a token. */

import { el, say, show } from "../dom";

/** Ask for one, and say why it is needed; "" where that is plain. */
export function askToken(why: string): void {
  const dialog = el<HTMLDialogElement>("token");
  say(el("token-error"), why);
  show(el("token-error"), why !== "");
  if (!dialog.open) dialog.showModal();
}

/** `take` gets what was typed. */
export function bindToken(take: (token: string) => void): void {
  el("token-form").onsubmit = (event) => {
    event.preventDefault();
    const value = el<HTMLInputElement>("token-value");
    el<HTMLDialogElement>("token").close();
    take(value.value.trim());
    value.value = "";
  };
}
