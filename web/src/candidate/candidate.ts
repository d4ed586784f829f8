/** From the link to the end of the exam: what is shown when. */

import { el, keep, kept, say, show } from "../dom";
import { icon } from "../icons";
import { Devices } from "../microphone/devices";
import { MicrophoneError, type MicrophoneProblem } from "voxwatch-client";
import { asked } from "../views/confirm";
import { updateMeter } from "../views/sound";
import { microphoneProblem } from "../words";
import { ending, hearing, soundWords } from "./hearing";
import { Listening } from "./listening";
import { bindChoice } from "./microphones";
import { complain, drawConsent, drawNotice, showScreen, type Notice, type Screen } from "./screens";
import { CandidateServer, type Seat } from "./server";
import { TryMicrophone } from "./try";
import { Voice } from "./voice";

const DRAW_MS = 100;
const BEGUN = "candidate-begun"; // kept while the exam is on: a page that is loaded anew goes on

const AWAY: Notice = {
  icon: "plug",
  title: "The server cannot be reached",
  text: "Trying again. Check your network; if it lasts, tell your examiners.",
};
const NO_LINK: Notice = {
  icon: "alert",
  title: "This link is not whole",
  text: "Open it once more as it was sent to you, to its end.",
};

export class Candidate {
  private readonly server: CandidateServer | null = null;
  private readonly devices = new Devices();
  private readonly trying: TryMicrophone;
  private readonly voice: Voice;
  private screen: Screen | null = null;
  private listening: Listening | null = null;
  private opening = false;
  /** Something was done on this page: how it ended stays when the server comes and goes. */
  private begun = false;
  private announced = "";

  constructor(private readonly token: string | null) {
    this.trying = new TryMicrophone(this.devices, () => this.afterMicrophone());
    this.voice = new Voice(
      {
        voxwatch: () => this.server!.voxwatch,
        consent: () => this.server!.seat!.consent,
        done: () => void this.enrolled(),
      },
      this.devices,
    );
    bindChoice("heard-device", this.devices, (device) => this.listening?.choose(device));
    el("agree").onsubmit = (event) => this.agree(event);
    el("leave").onclick = () => void this.leave();
    el("withdraw").onclick = () => void this.withdraw();
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
        const told = ending("unauthorised")!;
        if (!this.listening) this.notice({ icon: "alert", ...told });
        return;
      }
    }
  }

  /** What somebody sees first who opens the link. */
  private first(seat: Seat): void {
    if (seat.ended_at !== null) return this.done();
    if (seat.withdrawn && !seat.enrolled) return this.withdrawn();
    if (!seat.enrolled && !seat.may_enrol) {
      return this.notice({
        icon: "person",
        title: "Your voice is not known here",
        text: "This exam takes those who are enrolled already. Please ask your examiners.",
      });
    }
    if (seat.enrolled && kept("sessionStorage", BEGUN) === this.token) return void this.begin();
    this.show("agree");
    this.askToAgree(seat);
  }

  private askToAgree(seat: Seat): void {
    show(el("agree-check"), !seat.enrolled);
    el<HTMLInputElement>("agree-given").checked = false;
  }

  private agree(event: Event): void {
    event.preventDefault();
    const given = el<HTMLInputElement>("agree-given");
    if (!this.seat?.enrolled && !given.checked) {
      complain("Nothing is recorded without your consent: tick the box, or ask your examiners.");
      given.focus();
      return;
    }
    this.trying.reset();
    this.show("mic");
  }

  private afterMicrophone(): void {
    if (this.seat?.enrolled) return void this.begin();
    this.voice.reset();
    this.show("voice");
  }

  private async enrolled(): Promise<void> {
    await this.server?.refresh();
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
    complain(`You are not heard. ${microphoneProblem(problem)}`);
  }

  private ended(code: string): void {
    this.listening = null;
    this.title("");
    keep("sessionStorage", BEGUN, null);
    if (code === "exam-ended" || code === "") return this.done();
    if (code === "consent-withdrawn") return this.withdrawn();
    const told = ending(code) ?? { title: "That did not go on", text: `The server says: ${code}.` };
    const again = code === "unauthorised" ? {} : { button: "Go on here", run: () => void this.begin() };
    this.notice({ icon: "alert", ...told, ...again });
  }

  private async leave(): Promise<void> {
    const sure = await asked({
      title: "Have you finished?",
      text: "From then on you are not heard any more. You can come back as long as the exam lasts.",
      yes: "I have finished",
    });
    if (!sure || this.screen !== "heard") return;
    this.listening?.finish();
    this.listening = null;
    keep("sessionStorage", BEGUN, null);
    this.title("");
    this.notice({
      icon: "flag",
      title: "You have finished",
      text: "The microphone is off, and you can close this page.",
      button: "Come back to the exam",
      run: () => void this.begin(),
    });
  }

  private async withdraw(): Promise<void> {
    const sure = await asked({
      title: "Take your consent back?",
      text: "Your voiceprint is deleted at once and you are not heard any more. Tell your examiners, so that they can offer you another way.",
      yes: "Take it back",
    });
    if (!sure || !this.server) return;
    this.begun = true;
    this.listening?.stop();
    this.trying.stop();
    this.voice.stop();
    this.listening = null;
    keep("sessionStorage", BEGUN, null);
    this.title("");
    this.notice({ icon: "clock", title: "One moment", text: "The server is told that you take your consent back." });
    try {
      await this.server.withdraw();
      this.withdrawn();
    } catch {
      this.notice({
        icon: "alert",
        title: "That did not reach the server",
        text: "You are not heard any more, but your voiceprint is still there. Try again.",
        button: "Take my consent back",
        run: () => void this.withdraw(),
      });
    }
  }

  private withdrawn(): void {
    const { seat } = this;
    this.notice({
      icon: "flag",
      title: "You took your consent back",
      text: "Your voiceprint is deleted, and nothing is compared any more. Please tell your examiners.",
      ...(seat?.may_enrol ? { button: "I have changed my mind", run: () => this.anew() } : {}),
    });
  }

  private anew(): void {
    this.show("agree");
    if (this.seat) this.askToAgree(this.seat);
  }

  private done(): void {
    this.notice({ icon: "flag", title: "The exam is over", text: "Thank you. You can close this page." });
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

  /** What is heard just now. */
  private draw(): void {
    const { listening } = this;
    if (this.screen !== "heard") return;
    if (!listening) {
      this.say({ tone: "waiting", icon: "clock", title: "One moment", text: "The microphone is opened." });
      return;
    }
    const situation = listening.situation();
    this.say(hearing(situation));
    say(el("heard-advice"), [listening.warning, soundWords(situation.quality)].filter(Boolean).join(" "));
    updateMeter(el("heard-level"), listening.peak);
  }

  private say({ tone, icon: name, title, text }: ReturnType<typeof hearing>): void {
    const state = el("heard-state");
    if (state.dataset.icon !== name) el("heard-icon").replaceChildren(icon(name));
    state.dataset.icon = name;
    state.dataset.tone = tone;
    say(el("heard-title"), title);
    say(el("heard-text"), text);
    this.title(tone === "problem" ? `⚠ ${title}` : title);
    // A screen reader is told when it changes, and not of each second of a countdown.
    if (title !== this.announced) say(el("heard-announce"), `${title}. ${tone === "problem" ? text : ""}`);
    this.announced = title;
  }

  private title(words: string): void {
    const exam = this.seat?.exam ?? "Exam";
    document.title = words ? `${words} – ${exam}` : `${exam} – voxwatch`;
  }
}
