/** What the visitor does, and the source that is shown. */

import { now, VoxwatchError } from "voxwatch-client";
import { el, save } from "./dom";
import { Drawing } from "./drawing";
import { NO_LINK, notLetIn, type Link } from "./headline";
import { Devices } from "./microphone/devices";
import { Page } from "./page";
import { give } from "./reporting";
import { Server } from "./server";
import { MicrophoneSource } from "./sources/microphone";
import { WatchSource } from "./sources/watch";
import { Chooser } from "./views/chooser";
import { confirmed } from "./views/confirm";
import { Enrol } from "./views/enrol";
import { SignalChoice } from "./views/signal_choice";
import { Threshold } from "./views/threshold";
import { toast } from "./views/toast";
import { askToken, bindToken } from "./views/token";

const DRAW_MS = 80; // between two drawings: sound comes each 100 ms
const REDRAW_MS = 250; // countdowns and silences run while no message comes

export class App {
  private readonly server = new Server(() => this.serverChanged(), askToken);
  private readonly page = new Page(
    new Threshold(
      (target) => this.aim(target, false),
      (target) => this.aim(target, true),
    ),
    {
      watch: (stream) => this.watch(stream),
      remove: (name) => void this.remove(name),
      save: (name) => void this.export(name),
    },
  );
  /** What of the signal is shown, and how. */
  readonly signal = new SignalChoice(this.page.scope, () => this.redraw());
  private readonly devices = new Devices();
  private readonly chooser = new Chooser("microphone-choice", this.devices, () =>
    this.endMicrophone(),
  );
  private readonly enrol: Enrol;

  private source: MicrophoneSource | WatchSource | null = null;
  private starting = false;
  /** Watch whichever stream there is, and the next when it ends. */
  private following: boolean;
  private claim = "";
  private claimChosen = false;
  private connected = false;
  private target: number | null = null;
  private problem = "";
  private readonly drawing = new Drawing(() => this.draw(), DRAW_MS);

  constructor(private wished: string | null) {
    this.following = wished === "first";
    this.enrol = new Enrol(
      {
        voxwatch: this.server.voxwatch,
        status: () => this.server.status,
        profiles: () => this.server.profiles,
        begin: () => {
          this.chooser.stop();
          this.endMicrophone();
        },
        done: (name) => void this.enrolled(name),
        verify: () => void this.listen(),
      },
      this.devices,
    );
    this.devices.onChange(() => {
      if (this.source instanceof MicrophoneSource) this.source.choose(this.devices.chosen);
    });
    window.setInterval(() => this.source && this.redraw(), REDRAW_MS);
    this.bind();
    this.server.connect();
  }

  redraw(): void {
    this.drawing.ask();
  }

  /** Start the microphone, or stop it. */
  toggleMicrophone(): void {
    if (this.listening) this.source?.stop();
    else void this.listen();
  }

  openEnrolment(): void {
    if (this.server.status && !this.server.may("enrol")) {
      askToken("This token may not enrol anybody.");
    } else this.enrol.open();
  }

  saveReport(): void {
    void give(this.source?.view ?? null, this.server, "zip");
  }

  printReport(): void {
    void give(this.source?.view ?? null, this.server, "html");
  }

  private get listening(): boolean {
    if (this.source?.kind !== "microphone") return false;
    const { phase } = this.source.link(now());
    return phase !== "ended" && phase !== "failed" && phase !== "finishing";
  }

  private get watched(): string | null {
    return this.source instanceof WatchSource ? this.source.stream : null;
  }

  private async listen(): Promise<void> {
    if (this.starting) return;
    if (this.server.status && !this.server.may("stream")) {
      askToken("This token may not send sound.");
      return;
    }
    this.starting = true;
    this.problem = "";
    this.following = false;
    this.chooser.stop();
    this.redraw();
    const result = await MicrophoneSource.open({
      voxwatch: this.server.voxwatch,
      device: this.devices.chosen,
      claim: this.claim ? [this.claim] : [],
      falseAccept: this.target,
      changed: () => this.redraw(),
      problem: (words) => this.fail(words),
    });
    this.starting = false;
    if (typeof result === "string") this.fail(result);
    else this.change(result);
    void this.devices.refresh(); // their names are told from now on
  }

  private endMicrophone(): void {
    if (this.source?.kind === "microphone") this.source.stop();
  }

  private watch(stream: string): void {
    this.problem = "";
    this.change(new WatchSource(stream, this.server.voxwatch, () => this.moved()));
  }

  private unwatch(): void {
    this.following = false;
    this.change(null);
    el("microphone").focus();
  }

  private change(source: MicrophoneSource | WatchSource | null): void {
    this.source?.leave();
    this.source = source;
    this.redraw();
  }

  /** The watched stream has said something; it may have been the last. */
  private moved(): void {
    this.follow();
    this.redraw();
  }

  private follow(): void {
    if (!this.following || this.starting || this.source?.kind === "microphone") return;
    const over = this.source === null || this.source.link(now()).phase === "ended";
    const next = this.server.streams.find((entry) => entry.stream !== this.watched);
    if (over && next) this.watch(next.stream);
  }

  private serverChanged(): void {
    const { connected, deleted } = this.server;
    if (connected && !this.connected) this.source?.hurry();
    // What one way does not hear the other may not either; sound that is sent notices by itself.
    if (!connected && this.source instanceof WatchSource) this.source.renew();
    this.connected = connected;
    if (deleted.includes(this.claim)) this.claim = "";
    if (!this.claimChosen) {
      const usable = this.server.profiles.filter((p) => p.usable);
      this.claim = usable.length === 1 ? usable[0]!.name : "";
    }
    if (this.wished && this.wished !== "first" && this.server.may("monitor")) {
      this.watch(this.wished);
      this.wished = null;
    }
    this.follow();
    this.redraw();
  }

  private expect(claim: string): void {
    this.claim = claim;
    this.claimChosen = true;
    if (this.source instanceof MicrophoneSource) {
      this.source.configure({ claim: claim ? [claim] : [] });
    }
    this.redraw();
  }

  private aim(target: number, settled: boolean): void {
    this.target = target;
    if (settled && this.source instanceof MicrophoneSource) {
      this.source.configure({ false_accept: target });
    }
    this.redraw();
  }

  private async enrolled(name: string): Promise<void> {
    this.claim = name;
    this.claimChosen = true;
    await this.attempt(this.server.listProfiles());
  }

  private async remove(name: string): Promise<void> {
    if (!(await confirmed(name))) return;
    const gone = await this.attempt(this.server.ask("delete", { name }).then(() => true));
    if (!gone) return;
    if (this.claim === name) this.expect("");
    toast(`The voiceprint of ${name} was deleted.`);
    await this.attempt(this.server.listProfiles());
  }

  private async export(name: string): Promise<void> {
    const profile = await this.attempt(this.server.ask<object>("export", { name }));
    if (profile) save(`voxwatch-${name}.json`, profile);
  }

  /** The outcome, or null after telling why there is none. */
  private async attempt<T>(outcome: Promise<T>): Promise<T | null> {
    try {
      return await outcome;
    } catch (error) {
      if (!(error instanceof VoxwatchError)) throw error;
      toast(error.message);
      return null;
    }
  }

  private fail(words: string): void {
    this.problem = words;
    this.redraw();
  }

  private bind(): void {
    el("microphone").onclick = () => this.toggleMicrophone();
    el("unwatch").onclick = () => this.unwatch();
    el("enrol-open").onclick = () => this.openEnrolment();
    el("report-save").onclick = () => this.saveReport();
    el("report-print").onclick = () => this.printReport();
    const claim = el<HTMLSelectElement>("claim");
    claim.onchange = () => this.expect(claim.value);
    bindToken((token) => void this.server.authenticate(token));
    window.addEventListener("resize", () => this.redraw());
  }

  private draw(): void {
    const { server, source } = this;
    this.page.draw({
      server,
      source,
      link: this.link(),
      listening: this.listening,
      watched: this.watched,
      following: this.following,
      claim: this.claim,
      target: this.target,
      problem: this.problem,
    });
  }

  private link(): Link {
    if (this.source) return this.source.link(now());
    if (this.starting) return { ...NO_LINK, source: "microphone", phase: "connecting" };
    const { setting } = this.server;
    if (setting) return { ...NO_LINK, phase: "failed", problem: notLetIn(setting) };
    const gone = this.server.status !== null && !this.server.connected;
    return gone ? { ...NO_LINK, phase: "waiting" } : NO_LINK;
  }
}
