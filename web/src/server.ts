/** What the page knows of the server beside the streams: who may what, who is enrolled, what is live. */

import { fileAddress, serverOf, wishes, withoutToken } from "./address";
import { keep, kept } from "./dom";
import {
  Control,
  socketAddress,
  streamStates,
  Voxwatch,
  VoxwatchError,
  type Profile,
  type Role,
  type Status,
  type StreamState,
} from "voxwatch-client";

const STREAMS_MS = 2000;
const STATUS_MS = 5000; // between two looks at how the server fares, and whether it answers at all
const PROFILES_MS = 10_000; // who is enrolled may be changed by others

const ANSWER_MS = 15_000; // since the last answer: a server so late tells nothing of now
const LOOK_MS = 1000; // between two looks whether one is late

/** What was asked for was deleted. */
export class Gone extends Error {}

export class Server {
  status: Status | null = null;
  profiles: Profile[] = [];
  /** Who was enrolled when the list was last asked for and is no more. */
  deleted: string[] = [];
  streams: StreamState[] = [];
  connected = false;
  /** What is to be set for pages of this address to be let in; empty where they are. */
  setting = "";
  /** Streams, enrolments and monitors, each with a single-use token where the server wants one. */
  readonly voxwatch: Voxwatch;
  private token = kept("sessionStorage", "token");
  private readonly control: Control;
  private answeredAt = 0; // by this page's clock, in ms

  /**
   * `onChange`: something known is another; `onToken`: a token is needed, and why. Without `lists`
   * nobody asks who is enrolled and what is live.
   */
  constructor(
    private readonly onChange: () => void,
    private readonly onToken: (why: string) => void,
    private readonly lists = true,
  ) {
    const url = serverOf(document.baseURI);
    this.voxwatch = new Voxwatch({ url, token: (role) => this.once(role) });
    this.control = new Control(socketAddress(url, "v1/control"), WebSocket, {
      opened: () => void this.greet(),
      closed: (refused) => {
        this.connected = false;
        this.onChange();
        if (refused && !this.status) void this.askWhy();
      },
    });
    window.setInterval(() => void this.refreshStatus(), STATUS_MS);
    if (!lists) return;
    this.repeat(() => this.listStreams(), STREAMS_MS);
    this.repeat(() => this.refreshProfiles(), PROFILES_MS);
    document.addEventListener("visibilitychange", () => {
      if (this.connected && !document.hidden) void this.refreshProfiles();
    });
  }

  connect(): void {
    this.control.connect();
  }

  /** Take another token, and ask again for everything it may show. */
  async authenticate(token: string): Promise<void> {
    this.token = token;
    if (this.control.open) await this.greet();
    else this.control.connect(); // and then it is greeted
  }

  may(role: Role): boolean {
    return this.status?.roles.includes(role) ?? false;
  }

  async ask<T>(type: string, fields: Record<string, unknown> = {}): Promise<T> {
    try {
      return await this.control.request<T>(type, fields);
    } finally {
      this.answeredAt = performance.now();
    }
  }

  /** Whether the server has a record that whoever looks at this page may read. */
  get recorded(): boolean {
    return this.status?.record?.written !== undefined && this.may("monitor");
  }

  /** The address of a report that the server makes, for one request within a minute. */
  async report(of: string, query: Record<string, string> = {}): Promise<string> {
    const { timeZone } = Intl.DateTimeFormat().resolvedOptions();
    const zone: Record<string, string> = timeZone ? { zone: timeZone } : {};
    return fileAddress(document.baseURI, of, { ...zone, ...query, ...(await this.shown()) });
  }

  /** The sound of an incident of a recorded stream. Rejected where it cannot be had. */
  async clip(stream: string, incident: string): Promise<Blob> {
    const path = `v1/records/${stream}/clips/${incident.split("/").at(-1) ?? ""}.ogg`;
    const answer = await fetch(fileAddress(document.baseURI, path, await this.shown()));
    if (answer.status === 404) throw new Gone("the sound is not there any more");
    if (!answer.ok) throw new Error(`HTTP ${answer.status}`);
    return answer.blob();
  }

  /** What a file's address needs, where the server wants a token. */
  private async shown(): Promise<Record<string, string>> {
    const token = await this.once("monitor");
    return token ? { token } : {};
  }

  /** A single-use token; "" where the server wants none. */
  private async once(role: Role): Promise<string> {
    if (!this.status?.auth_required) return "";
    return (await this.ask<{ token: string }>("url_token", { role })).token;
  }

  async listProfiles(): Promise<void> {
    if (!this.may("enrol") && !this.may("admin")) return;
    const profiles = await this.ask<Profile[]>("profiles");
    const names = profiles.map(({ name }) => name);
    this.deleted = this.profiles.map(({ name }) => name).filter((name) => !names.includes(name));
    // The same list keeps its place on the page, and the focus within it.
    if (JSON.stringify(profiles) !== JSON.stringify(this.profiles)) this.profiles = profiles;
    this.onChange();
  }

  private async refreshProfiles(): Promise<void> {
    try {
      await this.listProfiles();
    } catch {
      // Asked again in a while, or when the server is back.
    }
  }

  /** Ask again and again while somebody looks at the page. */
  private repeat(ask: () => Promise<void>, each_ms: number): void {
    window.setInterval(() => {
      if (this.status && this.connected && !document.hidden) void ask();
    }, each_ms);
  }

  async listStreams(): Promise<void> {
    if (!this.may("monitor")) return;
    try {
      this.streams = streamStates(await this.ask("streams"));
      this.onChange();
    } catch {
      // Asked again in two seconds, or when the server is back.
    }
  }

  /** A browser does not tell why a socket was refused: the server does, if it can be reached. */
  private async askWhy(): Promise<void> {
    try {
      const query = `v1/origin?origin=${encodeURIComponent(location.origin)}`;
      const answer = await fetch(new URL(query, document.baseURI));
      this.setting = answer.ok ? await answer.text() : "";
      this.onChange();
    } catch {
      // It cannot be reached, which is said already.
    }
  }

  /**
   * How the server fares by now; told where that is another thing. Asked out of sight, too: a network
   * that went away without a word is told by nothing else, and whoever waits for a sound would wait on.
   */
  private async refreshStatus(): Promise<void> {
    if (!this.connected) return;
    try {
      this.status = await this.inTime(this.ask<Status>("status"));
      this.onChange();
    } catch {
      // Asked again in a while, or when the server is back.
    }
  }

  /**
   * Where no answer comes in time the connection is taken for lost, and made again. The server answers
   * one request after another, and some take it seconds: the time begins anew with each answer.
   */
  private async inTime<T>(answer: Promise<T>): Promise<T> {
    const asked = performance.now();
    const looking = window.setInterval(() => {
      if (performance.now() - Math.max(asked, this.answeredAt) > ANSWER_MS) this.control.renew();
    }, LOOK_MS);
    try {
      return await answer;
    } finally {
      window.clearInterval(looking);
    }
  }

  private async greet(): Promise<void> {
    try {
      if (this.token) await this.inTime(this.ask("authenticate", { token: this.token }));
      this.status = await this.inTime(this.ask<Status>("status"));
      this.connected = true;
      this.setting = "";
      keep("sessionStorage", "token", this.token);
      this.onChange();
      if (this.status.roles.length === 0) {
        this.onToken("");
        return;
      }
      if (this.lists) await Promise.all([this.listProfiles(), this.listStreams()]);
    } catch (error) {
      if (!(error instanceof VoxwatchError)) throw error;
      if (error.code !== "unauthorised") return; // gone: greeted again when it is back
      const wrong = this.token !== null;
      this.token = null;
      keep("sessionStorage", "token", null);
      this.onToken(wrong ? "The server does not know this token." : "");
    }
  }
}

/** Keep a token from the address for this tab: a secret is not to be shown, shared or remembered. */
export function takeToken(): void {
  const { hash, pathname, search } = window.location;
  const { token } = wishes(hash);
  if (!token) return;
  keep("sessionStorage", "token", token);
  window.history.replaceState(null, "", `${pathname}${search}${withoutToken(hash)}`);
}
