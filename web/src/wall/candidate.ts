/** The candidate beside the wall: what happened from the first second, and what people said of it. */

import { el, h, say, show } from "../dom";
import type { Judgement } from "voxwatch-client";
import type { Act, Incident } from "../incidents";
import { roughly, timeOfDay } from "../times";
import { eventLine } from "../views/events";
import { anyOf, clock } from "../words";
import { badge } from "./badge";
import { Course } from "./course";
import { IncidentList, type Clips } from "./incident_list";
import { lookOf, titleOf } from "./kinds";
import { Player } from "./listen";
import { Reader, type Ask } from "./reader";
import type { StreamRecord } from "./record";
import { byNeed, isOwn, nameOf, statusOf, type Seat } from "./seat";
import { allowedWords, CLIPS, expected, VERDICTS, whenWords } from "./words";

const NO_CLIPS: Clips = new Map();

export interface CandidateActions {
  close(): void;
  acknowledge(incidents: readonly Incident[]): void;
  /** The sound of an incident; rejected where it cannot be had. */
  clip(incident: Incident): Promise<Blob>;
  act(stream: string, fields: Record<string, unknown>): Promise<boolean>;
  /** Something was read: draw soon. */
  changed(): void;
}

export class CandidatePanel {
  private readonly panel = el("candidate");
  private readonly course: Course;
  private readonly incidents: IncidentList;
  private readonly player: Player;
  private seat: Seat | null = null;
  /** One of the candidate's streams; "": the newest. */
  private chosen = "";
  private reader: Reader | null = null;
  private drawnRecord: unknown = null;
  private drawnNotes = -1;
  private drawnEvents: unknown = null;

  constructor(
    private readonly ask: Ask,
    private readonly actions: CandidateActions,
  ) {
    this.course = new Course(() => {
      this.drawnRecord = null;
      actions.changed();
    });
    this.player = new Player(
      (incident) => actions.clip(incident),
      (incident) => this.hurry(incident.stream),
    );
    el("candidate-close").onclick = () => actions.close();
    this.incidents = new IncidentList(
      (incident) => {
        this.choose(incident.stream);
        this.course.show(incident);
      },
      (incidents) => actions.acknowledge(incidents),
      (incident) => void this.player.play(incident),
    );
    const session = el<HTMLSelectElement>("session");
    session.onchange = () => {
      this.choose(session.value);
      this.course.reset();
    };
    el<HTMLFormElement>("note").onsubmit = (event) => void this.note(event);
    el<HTMLFormElement>("verdict").onsubmit = (event) => void this.judge(event);
  }

  get key(): string {
    return this.seat?.key ?? "";
  }

  open(seat: Seat): void {
    if (this.seat === seat) return;
    this.leave();
    this.seat = seat;
    show(this.panel, true);
    document.body.classList.add("opened");
    el<HTMLFormElement>("note").reset();
    el<HTMLFormElement>("verdict").reset();
    this.course.reset();
    this.panel.scrollTop = 0;
  }

  close(): void {
    this.leave();
    show(this.panel, false);
    document.body.classList.remove("opened");
  }

  focus(): void {
    el("candidate-name").focus({ preventScroll: true });
  }

  writeNote(): void {
    el("note-text").focus();
  }

  /** An incident or an act was told: the record has more. */
  hurry(stream: string): void {
    if (this.reader?.record.stream === stream) this.reader.hurry();
  }

  /** The size or the theme is another. */
  redraw(): void {
    this.drawnRecord = null;
  }

  /** `now` in seconds since 1970. */
  draw(now: number): void {
    const { seat } = this;
    if (!seat) return;
    this.read(seat);
    const incidents = [...seat.incidents.values()].sort(byNeed);
    this.drawHead(seat, now);
    const record = this.reader?.record;
    this.incidents.draw(seat, incidents, record?.clips ?? NO_CLIPS, now);
    if (record?.clips.get(this.player.id) === false) this.player.stop();
    if (!record) {
      say(el("record-words"), "Nothing has been recorded yet.");
      return;
    }
    this.drawRecord(record, incidents);
    this.drawActs(record);
  }

  private leave(): void {
    this.player.stop();
    this.reader?.leave();
    this.reader = null;
    this.seat = null;
    this.chosen = "";
    this.drawnRecord = null;
    this.drawnNotes = -1;
    this.drawnEvents = null;
  }

  /** The stream that is shown. */
  private get stream(): string | undefined {
    return this.chosen || this.seat?.streams.at(-1);
  }

  private choose(stream: string): void {
    this.chosen = stream === this.seat?.streams.at(-1) ? "" : stream;
    this.actions.changed();
  }

  private read(seat: Seat): void {
    this.drawSessions(seat);
    const { stream } = this;
    if (!stream || this.reader?.record.stream === stream) return;
    this.reader?.leave();
    // Of a stream that is over the record alone says who was claimed.
    this.reader = new Reader(stream, seat.exam === null ? "" : seat.label, this.ask, () => this.actions.changed());
    this.drawnRecord = null;
    this.drawnNotes = -1;
    this.drawnEvents = null;
  }

  /** Whoever came anew has several. */
  private drawSessions({ streams, live }: Seat): void {
    const select = el<HTMLSelectElement>("session");
    const last = streams.length - 1;
    const words = streams.map((_, i) => `Session ${i + 1}${i === last && live ? ", now" : ""}`);
    const key = [...streams, ...words].join();
    if (select.dataset.key !== key) {
      select.dataset.key = key;
      show(select, streams.length > 1);
      select.replaceChildren(...streams.map((value, i) => h("option", { value }, words[i]!)));
    }
    select.value = this.stream ?? "";
  }

  private drawHead(seat: Seat, now: number): void {
    const { record } = this.reader ?? {};
    say(el("candidate-name"), nameOf(seat));
    const began = record?.startedAt ?? null;
    const until = record?.endedAt ?? now;
    say(
      el("candidate-facts"),
      [
        seat.number,
        seat.claims.length > 0 && !isOwn(seat) ? `Should be ${anyOf(seat.claims)}` : "",
        began === null ? "" : `Since ${timeOfDay(began)}, ${roughly(until - began)}`,
        record && record.endedAt !== null ? `Ended ${timeOfDay(record.endedAt)}` : "",
        allowedWords(seat.accommodations),
        record?.clipsAnswer ? CLIPS[record.clipsAnswer] : "",
      ]
        .filter(Boolean)
        .join(" · "),
    );
    const { kind, incident } = statusOf(seat);
    const state = el("candidate-state");
    const when = incident && whenWords(incident, now);
    const words = incident ? titleOf(incident, expected(seat)) : lookOf(kind).word;
    const key = [kind, words].join("\n");
    if (state.dataset.key !== key) {
      state.dataset.key = key;
      state.dataset.tone = lookOf(kind).tone;
      state.replaceChildren(badge(kind), h("div", {}, h("b", {}, words), h("span")));
    }
    say(state.querySelector("span:last-child")!, when ? `${when.moment} · ${when.ago}` : "");
  }

  private drawRecord(record: StreamRecord, incidents: readonly Incident[]): void {
    say(el("record-words"), recordWords(record, this.reader?.problem ?? ""));
    const own = incidents.filter(({ stream }) => stream === record.stream);
    const key = JSON.stringify([record.after, own.map(({ id, until }) => [id, until])]);
    if (this.drawnRecord === key) return;
    this.drawnRecord = key;
    this.course.draw(record, own);
    this.drawEvents(record);
  }

  private drawEvents(record: StreamRecord): void {
    const { notes, claims } = record.view;
    if (notes === this.drawnEvents) return;
    this.drawnEvents = notes;
    show(el("events-empty"), notes.length === 0);
    el("events").replaceChildren(
      ...[...notes]
        .sort((a, b) => b.t - a.t)
        .map((note) => {
          const at = record.timeOf(note.t);
          return eventLine(note, claims, at === null ? clock(note.t) : timeOfDay(at));
        }),
    );
  }

  private drawActs(record: StreamRecord): void {
    const count = record.notes.length + record.verdicts.length;
    if (count === this.drawnNotes) return;
    this.drawnNotes = count;
    const verdict = record.verdicts.at(-1);
    say(el("verdict-now"), verdict ? `${VERDICTS[verdict.verdict]}, by ${byWords(verdict)}` : "None yet");
    const said: Act[] = [...record.notes, ...record.verdicts].sort((a, b) => b.at - a.at);
    el("notes").replaceChildren(
      ...said.map((act) => {
        const judged = act.verdict ? `Verdict: ${VERDICTS[act.verdict]}${act.text ? ". " : ""}` : "";
        return h("li", {}, h("div", {}, judged + (act.text ?? "")), h("div", { class: "quiet" }, byWords(act)));
      }),
    );
  }

  private async note(event: SubmitEvent): Promise<void> {
    event.preventDefault();
    const input = el<HTMLInputElement>("note-text");
    const text = input.value.trim();
    const { stream } = this;
    if (!stream || text === "") return;
    if (await this.actions.act(stream, { act: "note", text })) {
      input.value = "";
      this.reader?.hurry();
    }
  }

  private async judge(event: SubmitEvent): Promise<void> {
    event.preventDefault();
    const form = el<HTMLFormElement>("verdict");
    const verdict = new FormData(form).get("verdict") as Judgement | null;
    const { stream } = this;
    const text = el<HTMLInputElement>("verdict-text").value.trim();
    if (!stream || !verdict) return;
    if (await this.actions.act(stream, { act: "verdict", verdict, text })) {
      form.reset();
      this.reader?.hurry();
    }
  }
}

function byWords({ who, at }: Act): string {
  return `${who}, ${timeOfDay(at)}`;
}

function recordWords(record: StreamRecord, problem: string): string {
  if (problem) return `The record cannot be read: ${problem}`;
  if (!record.complete) return "Reading the record…";
  const lost = record.missing.reduce((sum, { count }) => sum + count, 0);
  const gap = lost > 0 ? ` ${lost} entries could not be written.` : "";
  return record.startedAt === null
    ? "Nothing has been recorded yet."
    : `From the record, since ${timeOfDay(record.startedAt)}. Lines: all the speech so far; bars: each turn by itself.${gap}`;
}
