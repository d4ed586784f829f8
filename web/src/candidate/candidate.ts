/** From the link to the end of the exam: what is shown when. */

import { el, keep, kept, show } from "../dom";
import { Devices } from "../microphone/devices";
import { MicrophoneError, type MicrophoneProblem } from "voxwatch-client";
import { asked } from "../views/confirm";
import { askClips, chosenClips, focusClips } from "./clips";
import { HeardView } from "./heard_view";
import { onLanguage, tell, words } from "./language";
import { Listening } from "./listening";
import { bindChoice } from "./microphones";
import { AWAY, broken, finished, NO_LINK, OVER, TELLING, UNKNOWN, unreached, withdrawn } from "./notices";
import { complain, drawConsent, drawNotice, showScreen, type Notice, type Screen } from "./screens";
import { CandidateServer, type ClipsAnswer, type Consent, type Seat } from "./server";
import { TryMicrophone } from "./try";
import { Voice } from "./voice";

const DRAW_MS = 100;
const BEGUN = "candidate-begun"; // kept while the exam is on: a page that is loaded anew goes on

export class Candidate {
  private readonly server: CandidateServer | null = null;
  private readonly devices = new Devices();
  private readonly heardNow = new HeardView((now) => this.title(now));
  private readonly trying: TryMicrophone;
  private readonly voice: Voice;
  private screen: Screen | null = null;
  private listening: Listening | null = null;
  private opening = false;
  /** Something was done on this page: how it ended stays when the server comes and goes. */
  private begun = false;
  /** The text as it was shown to who agreed to it. */
  private agreed: Consent | null = null;
  /** Whether sound may be kept, until the server knows. */
  private answer: ClipsAnswer | null = null;

  constructor(private readonly token: string | null) {
    this.trying = new TryMicrophone(this.devices, () => this.afterMicrophone());
    this.voice = new Voice(
      {
        voxwatch: () => this.server!.voxwatch,
        consent: () => this.agreed!,
        done: () => void this.enrolled(),
      },
      this.devices,
    );
    bindChoice("heard-device", this.devices, (device) => this.listening?.choose(device));
    el("agree").onsubmit = (event) => void this.agree(event);
    el("leave").onclick = () => void this.leave();
    el("withdraw").onclick = () => void this.withdraw();
    el("withdraw-clips").onclick = () => void this.withdrawClips();
    onLanguage(() => this.languageChanged());
    window.setInterval(() => this.draw(), DRAW_MS);
    window.addEventListener("beforeunload", (event) => {
      if (this.listening) event.preventDefault(); // closed by mistake, nobody would be heard
    });
    if (token === null) this.notice(NO_LINK);
    else this.server = new CandidateServer(token, () => this.serverChanged());
  }

  private get seat(): Seat | null {
    return this.server?.seat ?? null;
  }

  private languageChanged(): void {
    this.title("");
    this.draw();
    // The text of consent follows when the server has told it; until then the old one stands.
    this.server?.refresh().catch(() => undefined);
  }

  private serverChanged(): void {
    const { seat } = this;
    const waiting = !this.begun && (this.screen === null || this.screen === "notice");
    switch (this.server?.standing) {
      case "there":
        this.listening?.hurry();
        if (seat) drawConsent(seat);
        if (seat && waiting) this.first(seat);
        return;
      case "away":
        if (waiting) this.notice(AWAY);
        return;
      case "refused": {
        if (!this.listening) this.notice(broken("unauthorised", () => undefined));
        return;
      }
    }
  }

  /** What somebody sees first who opens the link. */
  private first(seat: Seat): void {
    if (seat.ended_at !== null) return this.done();
    if (seat.withdrawn && !seat.enrolled) return this.withdrawn();
    if (!seat.enrolled && !seat.may_enrol) {
      return this.notice(UNKNOWN);
    }
    if (seat.enrolled && kept("sessionStorage", BEGUN) === this.token) return void this.begin();
    this.show("agree");
    this.askToAgree(seat);
  }

  private askToAgree(seat: Seat): void {
    show(el("agree-check"), !seat.enrolled);
    el<HTMLInputElement>("agree-given").checked = false;
    askClips(seat);
  }

  private async agree(event: Event): Promise<void> {
    event.preventDefault();
    const given = el<HTMLInputElement>("agree-given");
    if (!this.seat?.enrolled && !given.checked) {
      complain((w) => w.agree.tick);
      given.focus();
      return;
    }
    const answer = chosenClips();
    if (answer === undefined) {
      complain((w) => w.agree.clipsChoose);
      focusClips();
      return;
    }
    this.agreed = this.seat?.consent ?? null;
    this.answer = answer;
    if (!(await this.tellAnswer())) {
      complain((w) => w.agree.clipsLost);
      return;
    }
    this.trying.reset();
    this.show("mic");
  }

  /** Of who is enrolled; whoever enrols now is known only after that. */
  private async tellAnswer(): Promise<boolean> {
    const { answer } = this;
    if (!answer || !this.server || !this.seat?.enrolled) return true;
    this.answer = null;
    try {
      await this.server.answerClips(answer);
      return true;
    } catch {
      // What was asked may be another question by now.
      await this.server.refresh().catch(() => undefined);
      return false;
    }
  }

  private afterMicrophone(): void {
    if (this.seat?.enrolled) return void this.begin();
    this.voice.reset();
    this.show("voice");
  }

  private async enrolled(): Promise<void> {
    await this.server?.refresh();
    await this.tellAnswer(); // what does not arrive is no consent: no sound is kept
    await this.begin();
  }

  private async begin(): Promise<void> {
    if (this.opening || this.listening || !this.server) return;
    this.opening = true;
    this.begun = true;
    this.show("heard");
    try {
      const listening = await Listening.open(this.devices.chosen, {
        voxwatch: this.server.voxwatch,
        changed: () => this.draw(),
        ended: (code) => this.ended(code),
        lostMicrophone: (problem) => this.lostMicrophone(problem),
      });
      if (this.screen !== "heard") return listening.stop(); // left, or not agreed to, meanwhile
      this.listening = listening;
      keep("sessionStorage", BEGUN, this.token);
      void this.devices.refresh();
    } catch (error) {
      if (this.screen !== "heard") return;
      this.lostMicrophone(error instanceof MicrophoneError ? error.problem : "unsupported");
    } finally {
      this.opening = false;
    }
  }

  private lostMicrophone(problem: MicrophoneProblem): void {
    this.listening = null;
    this.trying.reset();
    this.show("mic");
    complain((w) => `${w.heard.lost} ${w.microphone[problem]}`);
  }

  private ended(code: string): void {
    this.listening = null;
    this.title("");
    keep("sessionStorage", BEGUN, null);
    if (code === "exam-ended" || code === "") return this.done();
    if (code === "consent-withdrawn") return this.withdrawn();
    this.notice(broken(code, () => void this.begin()));
  }

  private async leave(): Promise<void> {
    const { notice } = words();
    const sure = await asked({ title: notice.leaveTitle, text: notice.leaveText, yes: notice.leaveYes });
    if (!sure || this.screen !== "heard") return;
    this.listening?.finish();
    this.listening = null;
    keep("sessionStorage", BEGUN, null);
    this.title("");
    this.notice(finished(() => void this.begin()));
  }

  private async withdrawClips(): Promise<void> {
    const { clipsTitle: title, clipsText: text, clipsYes: yes } = words().notice;
    const sure = await asked({ title, text, yes });
    if (!sure || !this.server) return;
    try {
      await this.server.withdrawClips();
      tell(el("rights-said"), (w) => w.agree.clipsGone);
    } catch {
      tell(el("rights-said"), (w) => w.agree.clipsLost);
    }
  }

  private async withdraw(): Promise<void> {
    const { withdrawTitle: title, withdrawText: text, withdrawYes: yes } = words().notice;
    const sure = await asked({ title, text, yes });
    if (!sure || !this.server) return;
    this.begun = true;
    this.listening?.stop();
    this.trying.stop();
    this.voice.stop();
    this.listening = null;
    keep("sessionStorage", BEGUN, null);
    this.title("");
    this.notice(TELLING);
    try {
      await this.server.withdraw();
      this.withdrawn();
    } catch {
      this.notice(unreached(() => void this.withdraw()));
    }
  }

  private withdrawn(): void {
    this.notice(withdrawn(this.seat?.may_enrol ? () => this.anew() : null));
  }

  private anew(): void {
    this.show("agree");
    if (this.seat) this.askToAgree(this.seat);
  }

  private done(): void {
    this.notice(OVER);
  }

  private notice(notice: Notice): void {
    drawNotice(notice);
    this.show("notice");
  }

  private show(screen: Screen): void {
    if (screen !== "mic") this.trying?.stop();
    if (screen !== "voice") this.voice?.stop();
    this.screen = screen;
    showScreen(screen, this.seat);
  }

  private draw(): void {
    if (this.screen !== "heard") return;
    this.heardNow.draw(this.listening, this.seat?.expires_at ?? Infinity);
  }

  private title(now: string): void {
    const exam = this.seat?.exam ?? words().page.title;
    document.title = now ? `${now} – ${exam}` : `${exam} – voxwatch`;
  }
}
