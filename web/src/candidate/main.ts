/** Start of a candidate's page: `/candidate#TOKEN`. */

import "../style.css";
import "./candidate.css";
import { keep, kept } from "../dom";
import { drawIcons } from "../icons";
import { bindDialogs, Theme } from "../preferences";
import { Candidate } from "./candidate";
import { bindLanguage, onLanguage, words } from "./language";

const KEPT = "candidate"; // the link's token, until the tab is closed

function tokenOf(): string | null {
  const token = window.location.hash.slice(1);
  if (!token) return kept("sessionStorage", KEPT);
  keep("sessionStorage", KEPT, token);
  // A secret has no place in an address that is shown, shared and remembered.
  window.history.replaceState(null, "", window.location.pathname);
  return token;
}

drawIcons();
bindDialogs();
bindLanguage();
const theme = new Theme(() => undefined, () => words().theme);
onLanguage(() => theme.draw());
new Candidate(tokenOf());
// A link that is opened in the same tab again changes the fragment only.
window.addEventListener("hashchange", () => window.location.reload());
