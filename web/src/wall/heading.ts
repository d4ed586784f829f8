/** The wall's heading: how many need somebody, which exam, and whether what is shown is of now. */

import { el, h, say, show } from "../dom";
import { countWords, presentWords } from "./words";

export interface Headed {
  /** Everything that the server has was taken in once. */
  known: boolean;
  connected: boolean;
  needing: number;
  all: number;
  live: number;
  /** What is wrong; "" where nothing is. */
  problem: string;
  /** What expires soon, a line each. */
  expiring: readonly string[];
  /** All exams by their ids, and the one that is shown; "": all streams. */
  exams: ReadonlyMap<string, string>;
  exam: string;
}

const TITLE = "voxwatch: candidates";

export class Heading {
  private drawnExams = "";
  private drawnExpiring = "";

  draw(of: Headed): void {
    const { known, connected, needing, problem } = of;
    const count = el("count");
    say(count, known ? countWords(needing, of.all, connected) : "Waiting for the server");
    // What was fine when the connection was lost need not be so now.
    const calm = connected && known ? "match" : "waiting";
    count.dataset.tone = known && needing > 0 ? "alert" : calm;
    document.title = needing > 0 ? `(${needing}) ${TITLE}` : TITLE;
    say(el("present"), known ? presentWords(of.all, of.live) : "");
    el("connection").dataset.light = connected ? "good" : "bad";
    say(el("connection-words"), connected ? "Connected" : "Not connected");
    say(el("problem"), problem);
    show(el("problem"), problem !== "");
    document.body.classList.toggle("stale", known && !connected);
    this.drawExpiring(of.expiring);
    this.drawExams(of);
  }

  private drawExpiring(lines: readonly string[]): void {
    const key = lines.join("\n");
    if (this.drawnExpiring === key) return;
    this.drawnExpiring = key;
    el("expiring").replaceChildren(...lines.map((line) => h("li", {}, line)));
    show(el("expiring"), lines.length > 0);
  }

  private drawExams({ exams, exam }: Headed): void {
    const key = JSON.stringify([...exams, exam]);
    if (this.drawnExams === key) return;
    this.drawnExams = key;
    const select = el<HTMLSelectElement>("exam");
    show(select, exams.size > 0);
    const options = [...exams].map(([id, name]) => h("option", { value: id }, name));
    select.replaceChildren(h("option", { value: "" }, "All streams"), ...options);
    select.value = exam;
  }
}
