/** The question before something is gone. */

import { el, say } from "../dom";

export interface Question {
  title: string;
  text: string;
  yes: string;
}

/** Ask, and wait for the answer. */
export function asked({ title, text, yes }: Question): Promise<boolean> {
  const dialog = el<HTMLDialogElement>("confirm");
  say(el("confirm-title"), title);
  say(el("confirm-text"), text);
  say(el("confirm-yes"), yes);
  return new Promise((resolve) => {
    let agreed = false;
    el("confirm-yes").onclick = () => {
      agreed = true;
      dialog.close();
    };
    dialog.onclose = () => resolve(agreed);
    dialog.showModal();
  });
}

/** Ask before a voiceprint is deleted. */
export function confirmed(name: string): Promise<boolean> {
  return asked({
    title: `Delete ${name}?`,
    text: "The voiceprint is erased for good and cannot be brought back. Export it first to keep a copy.",
    yes: "Delete for good",
  });
}
