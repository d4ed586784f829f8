/** The wall: what the visitor does, and what the server tells. */

import { fragmentOf, placeOf } from "../address";
import { VoxwatchError, type Monitor, type MonitorMessage } from "voxwatch-client";
import { el, say, show } from "../dom";
import { Drawing } from "../drawing";
import type { Act, Incident } from "../incidents";
import { Server } from "../server";
import { askToken, bindToken } from "../views/token";
import { toast } from "../views/toast";
import { Alerts } from "./alerts";
import { Board } from "./board";
import { CandidatePanel } from "./candidate";
import { Chips } from "./chips";
import { Exams } from "./exams";
import { expiryWords } from "./expiry";
import { Heading, type Headed } from "./heading";
import { Reports } from "./reports";
import { statusOf } from "./seat";
import { Tiles } from "./tiles";
import { troubleWords } from "./trouble";
import { told } from "./words";

const DRAW_MS = 100; // between two drawings, but for an incident, which is drawn at once
const ABSENT_MS = 15_000; // between looks at who has opened their link, until all are there
const CLOCK_MS = 1000; // how long something lasts is told by the second

export class Wall {
  private readonly server = new Server(() => this.serverChanged(), askToken, false);
  private readonly reports = new Reports(this.server);
  private readonly board = new Board();
  private readonly alerts = new Alerts((stream) => this.open(this.board.of(stream)?.key ?? ""));
  private readonly chips = new Chips((kind) => this.filter(kind));
  private readonly tiles = new Tiles({
    open: (key) => this.open(key),
    acknowledge: (key) => void this.acknowledgeSeat(key),
  });
  private readonly panel = new CandidatePanel((type, fields) => this.server.ask(type, fields), {
    close: () => this.close(),
    acknowledge: (incidents) => void this.acknowledge(incidents),
    clip: (incident) => this.server.clip(incident.stream, incident.id),
    act: (stream, fields) => this.act(stream, fields),
    changed: () => this.redraw(),
  });
  private readonly heading = new Heading();
  private monitor: Monitor | null = null;
  private place = placeOf(window.location.hash);
  private readonly exams = new Exams(
    (type, fields) => this.server.ask(type, fields),
    this.board,
    () => this.place.exam,
    () => this.redraw(),
  );
  private search = "";
  private kind = "";
  /** Why incidents cannot be told; "" while they can. */
  private refused = "";
  /** Everything that the server has was taken in once. */
  private known = false;
  private heardAt: number | null = null;
  // The title has to tell how many need somebody on a page out of sight, too.
  private readonly drawing = new Drawing(() => this.draw(), DRAW_MS, true);

  constructor() {
    bindToken((token) => void this.server.authenticate(token));
    el<HTMLInputElement>("search").oninput = (event) => {
      this.search = (event.target as HTMLInputElement).value;
      this.redraw();
    };
    el("search").onkeydown = ({ key }) => void (key === "Enter" && this.tiles.focusFirst());
    el<HTMLSelectElement>("exam").onchange = (event) =>
      void this.choose((event.target as HTMLSelectElement).value);
    document.addEventListener("keydown", (event) => event.key === "Escape" && this.escape());
    window.addEventListener("resize", () => this.resized());
    window.setInterval(() => this.redraw(), CLOCK_MS);
    window.setInterval(() => this.exams.lookForAbsent(), ABSENT_MS);
    this.server.connect();
  }

  redraw(urgent = false): void {
    this.drawing.ask(urgent);
  }

  /** The size of everything or its colours may be others. */
  resized(): void {
    this.panel.redraw();
    this.redraw();
  }

  toggleSound(): void {
    this.alerts.toggleSound();
  }

  toggleDesktop(): void {
    this.alerts.toggleDesktop();
  }

  /** Go to whoever needs somebody most, or to the next of them. */
  next(way: 1 | -1): void {
    const { needing } = this.board.sorted({ ...this.place, search: this.search, kind: this.kind });
    const keys = needing.map(({ seat }) => seat.key);
    if (keys.length === 0) {
      toast("Nobody needs attention.");
      return;
    }
    const at = keys.indexOf(this.tiles.focused || this.panel.key);
    const to = at < 0 ? 0 : (at + way + keys.length) % keys.length;
    if (this.panel.key) this.open(keys[to]!);
    else this.tiles.focus(keys[to]!);
  }

  /** Of the tile with the focus, or of who is open. */
  acknowledgeShown(): void {
    const key = this.tiles.focused || this.panel.key;
    if (key) void this.acknowledgeSeat(key);
    else toast("Choose a candidate first: N goes to the first.");
  }

  goToSearch(): void {
    el("search").focus();
  }

  writeNote(): void {
    if (this.panel.key) this.panel.writeNote();
    else toast("Open a candidate first.");
  }

  private open(key: string): void {
    const seat = this.board.get(key);
    if (!seat) return;
    this.panel.open(seat);
    this.keepPlace({ open: key });
    this.panel.focus();
    this.redraw(true);
  }

  private close(): void {
    const { key } = this.panel;
    this.panel.close();
    this.keepPlace({ open: "" });
    this.tiles.focus(key);
    this.redraw(true);
  }

  private escape(): void {
    if (document.querySelector("dialog[open]")) return;
    const search = el<HTMLInputElement>("search");
    if (document.activeElement === search && this.search !== "") {
      search.value = this.search = "";
      this.redraw();
    } else if (this.panel.key) this.close();
  }

  private filter(kind: string): void {
    this.kind = kind;
    this.redraw(true);
  }

  private keepPlace(change: Partial<typeof this.place>): void {
    this.place = { ...this.place, ...change };
    const { pathname, search } = window.location;
    window.history.replaceState(null, "", `${pathname}${search}${fragmentOf(this.place)}`);
  }

  private async choose(exam: string): Promise<void> {
    this.panel.close();
    this.keepPlace({ exam, open: "" });
    this.redraw(true);
    await this.refresh();
  }

  private serverChanged(): void {
    const { server } = this;
    if (!server.connected) this.monitor?.renew(); // what one way does not hear the other may not either
    if (server.connected && server.status && server.status.roles.length > 0) {
      if (!server.may("monitor")) askToken("This token may not watch: that takes the role monitor.");
      else if (this.monitor) this.monitor.hurry();
      else this.follow();
    }
    this.redraw();
  }

  private follow(): void {
    this.monitor = this.server.voxwatch.monitor({ patience_s: Infinity });
    this.monitor.on("message", (message) => this.heard(message));
    this.monitor.on("moved", () => this.redraw());
  }

  private heard(message: MonitorMessage): void {
    this.heardAt = Date.now() / 1000;
    const news = this.board.told(message);
    if (message.type === "ready") void this.refresh();
    if (message.type === "act" && message.stream) this.board.acknowledged(message.stream, message);
    // Who left may have taken their consent back, which the roster says.
    if (message.type === "closed" && this.place.exam) this.exams.readSoon();
    const urgent = message.type === "incident" || message.type === "act";
    if (urgent && message.stream) this.panel.hurry(message.stream);
    const seat = news && this.board.of(news.stream);
    if (news && seat && this.watched(seat.exam)) this.alerts.raise(news, told(news, seat));
    this.redraw(urgent);
  }

  private watched(exam: string | null): boolean {
    return this.place.exam === "" || this.place.exam === exam;
  }

  /** What no event tells: the exams, and what happened before. */
  private async refresh(): Promise<void> {
    const { exam } = this.place;
    const asked = exam ? { exam } : {};
    const [incidents] = await Promise.all([
      this.attempt(this.server.ask<Incident[]>("incidents", asked)),
      this.exams.read(),
    ]);
    for (const incident of incidents ?? []) this.board.happened(incident);
    this.known ||= incidents !== null || this.refused !== "";
    const { open } = this.place;
    if (open && !this.panel.key) {
      const seat = this.board.get(open);
      if (seat) this.panel.open(seat);
    }
    this.redraw(true);
  }

  private async attempt<T>(answer: Promise<T>): Promise<T | null> {
    try {
      const found = await answer;
      this.refused = "";
      return found;
    } catch (error) {
      if (!(error instanceof VoxwatchError)) throw error;
      if (error.code !== "connection-failed") this.refused = error.message;
      return null;
    }
  }

  private async acknowledgeSeat(key: string): Promise<void> {
    const seat = this.board.get(key);
    if (seat) await this.acknowledge(statusOf(seat).unseen);
  }

  private async acknowledge(incidents: readonly Incident[]): Promise<void> {
    const all = incidents.map(({ stream, id }) => this.act(stream, { act: "acknowledge", incident: id }));
    const done = (await Promise.all(all)).every(Boolean);
    if (done && incidents.length > 0) toast("Acknowledged.");
  }

  /** Whether the server has it in the record. */
  private async act(stream: string, fields: Record<string, unknown>): Promise<boolean> {
    try {
      const act = await this.server.ask<Act>("act", { stream, ...fields });
      this.board.acknowledged(stream, act);
      this.panel.hurry(stream);
      this.redraw(true);
      return true;
    } catch (error) {
      if (!(error instanceof VoxwatchError)) throw error;
      toast(error.message);
      return false;
    }
  }

  private draw(): void {
    const now = Date.now() / 1000;
    const { board, place, search, kind, panel } = this;
    const wanted = { exam: place.exam, search, kind };
    const { needing, others } = board.sorted(wanted);
    const all = board.sorted({ exam: place.exam, search: "", kind: "" });
    this.heading.draw(this.headed(all.needing.length, all.needing.length + all.others.length));
    this.chips.draw([...all.needing, ...all.others], kind);
    this.tiles.draw(needing, others, panel.key, now);
    show(el("others-title"), needing.length > 0 && others.length > 0);
    const none = this.known && needing.length + others.length === 0;
    say(el("nobody"), search || kind ? "Nobody like that." : "Streams appear here as they start.");
    show(el("nobody"), none);
    panel.draw(now);
    this.reports.draw(place.exam, board.get(panel.key));
  }

  private headed(needing: number, all: number): Headed {
    const { board, place, known } = this;
    const connected = this.server.connected && this.monitor?.phase === "live";
    const exams = this.exams.names();
    const seats = board.all(place.exam);
    const live = seats.filter((seat) => seat.live).length;
    const { refused, heardAt } = this;
    const problem = troubleWords(this.server, { connected, known, refused, heardAt });
    const tokens = this.server.status?.expiring_tokens ?? [];
    const expiring = expiryWords(tokens, seats, (exam) => this.exams.endOf(exam), Date.now() / 1000);
    return { known, connected, needing, all, live, problem, expiring, exams, exam: place.exam };
  }
}
