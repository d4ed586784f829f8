/** Start of the wall. */

import "../style.css";
import "./wall.css";
import { el } from "../dom";
import { drawIcons } from "../icons";
import { bindDialogs, bindShortcuts, Theme } from "../preferences";
import { takeToken } from "../server";
import { Wall } from "./wall";

drawIcons();
bindDialogs();
takeToken();

const wall = new Wall();
const theme = new Theme(() => wall.resized());
const help = (): void => el<HTMLDialogElement>("help").showModal();
el("help-open").onclick = help;

bindShortcuts([
  { key: "n", words: "Go to the next who needs attention", run: () => wall.next(1) },
  { key: "p", words: "Go to the one before", run: () => wall.next(-1) },
  { key: "a", words: "Acknowledge what happened there", run: () => wall.acknowledgeShown() },
  { key: "m", words: "Write a note on the open candidate", run: () => wall.writeNote() },
  { key: "/", words: "Search", run: () => wall.goToSearch() },
  { key: "s", words: "Sound on or off", run: () => wall.toggleSound() },
  { key: "d", words: "Desktop notifications on or off", run: () => wall.toggleDesktop() },
  { key: "t", words: "Change the theme", run: () => theme.next() },
  { key: "?", words: "Show these shortcuts", run: help },
]);
