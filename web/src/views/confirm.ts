/** The question before something is gone. */

import { el, say } from "../dom";

/** Ask before a voiceprint is deleted. */
export function confirmed(name: string): Promise<boolean> {
  const dialog = el<HTMLDialogElement>("confirm");
  say(el("confirm-title"), `Delete ${name}?`);
  say(
    el("confirm-text"),
    "The voiceprint is erased for good and cannot be brought back. Export it first to keep a copy.",
  );
  return new Promise((resolve) => {
    let yes = false;
    el("confirm-yes").onclick = () => {
      yes = true;
      dialog.close();
    };
    dialog.onclose = () => resolve(yes);
    dialog.showModal();
  });
}
