/** Start of the page. */

import "./style.css";
import { wishes } from "./address";
import { App } from "./app";
import { el } from "./dom";
import { drawIcons } from "./icons";
import { bindDialogs, bindShortcuts, Theme } from "./preferences";
import { takeToken } from "./server";

drawIcons();
bindDialogs();

takeToken();

const app = new App(wishes(window.location.hash).watch);
const theme = new Theme(() => app.redraw());
const help = (): void => el<HTMLDialogElement>("help").showModal();
el("help-open").onclick = help;

bindShortcuts([
  { key: "m", words: "Start or stop the microphone", run: () => app.toggleMicrophone() },
  { key: "e", words: "Enrol a voice", run: () => app.openEnrolment() },
  { key: "w", words: "Choose who is expected", run: () => el("claim").focus() },
  {
    key: "l",
    words: "Go to the live streams",
    run: () => el("streams").querySelector<HTMLElement>("button")?.focus(),
  },
  { key: "1", words: "Show 30 seconds", run: () => app.signal.setRange(30) },
  { key: "2", words: "Show a minute", run: () => app.signal.setRange(60) },
  { key: "3", words: "Show five minutes", run: () => app.signal.setRange(300) },
  { key: "s", words: "Scores as evidence or as probability", run: () => app.signal.toggleScale() },
  { key: "r", words: "Save the session report", run: () => app.saveReport() },
  { key: "t", words: "Change the theme", run: () => theme.next() },
  { key: "?", words: "Show these shortcuts", run: help },
]);
