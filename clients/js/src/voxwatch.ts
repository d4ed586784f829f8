/** A server, and everything that can be done with it. */

import { openControl, type Control } from "./control.js";
import { Enrolment, type EnrollOptions } from "./enrolment.js";
import { ConnectionFailed, ServerError } from "./errors.js";
import type { Verdict } from "./messages.js";
import { Monitor, type MonitorOptions } from "./monitor.js";
import {
  requestAddress,
  serverOf,
  socketAddress,
  socketsOf,
  told,
  type Entrance,
  type Role,
  type SocketConstructor,
} from "./network.js";
import { Stream } from "./stream.js";
import type { StreamOptions } from "./stream_options.js";
import { verifyAt, verifyQuery, type VerifyOptions, type WholeRecording } from "./verify.js";

/**
 * A token of the server's configuration or a candidate link's, which never stands in an address:
 * each connection shows a token of its own, asked for with this one. Or a function that is called
 * before every connection and gives a token that opens one of that role, as the request
 * `url_token` makes it; "" where none is needed.
 */
export type Token = string | ((role: Role) => string | Promise<string>);

export interface VoxwatchOptions {
  /** `https://HOST`, `wss://HOST` or the path below which a proxy has the server. */
  url: string;
  token?: Token;
  /** Where the program has none of its own, as Node before 22: that of `ws`. */
  WebSocket?: SocketConstructor;
  /** Instead of the program's own. */
  fetch?: typeof fetch;
}

export class Voxwatch {
  private readonly sockets: SocketConstructor;

  /** Throws a `ConnectionFailed` where there are no WebSockets or the address is none. */
  constructor(private readonly options: VoxwatchOptions) {
    this.sockets = socketsOf(options.WebSocket);
    socketAddress(options.url, ""); // a wrong one is told at once
  }

  /**
   * Who speaks, continuously. `claim` is who it should be, several names or one; nobody asks "who
   * is it?" among all enrolled.
   */
  stream(options: StreamOptions = {}): Stream {
    return new Stream(options, this.entrance("v1/stream", "stream"), this.sockets);
  }

  /** Enrol somebody: until `enrolled` or `refused`. */
  enroll(options: EnrollOptions): Enrolment {
    return new Enrolment(options, this.entrance("v1/enroll", "enrol"), this.sockets);
  }

  /** What all streams say. */
  monitor(options: MonitorOptions = {}): Monitor {
    const { stream, levels } = options;
    const query = { ...(stream ? { stream } : {}), ...(levels ? { levels: "1" } : {}) };
    return new Monitor(options, this.entrance("v1/monitor", "monitor", query), this.sockets);
  }

  /** The verdict on a recording of at most 60 s. Rejects with a `VoxwatchError`. */
  async verify(recording: WholeRecording, options: VerifyOptions = {}): Promise<Verdict> {
    const { token, fetch: fetcher = fetch } = this.options;
    const header = typeof token === "string" ? token : null;
    const query = { ...verifyQuery(options), ...(header ? {} : await this.once("stream")) };
    const url = requestAddress(this.options.url, "v1/verify", query);
    return verifyAt(url, header, recording, fetcher);
  }

  /**
   * The result of one request of wire version 1. What a function gives opens no control connection:
   * with it only what needs no role can be asked for, such as `status`. Rejects with a
   * `VoxwatchError`.
   */
  async request<T = unknown>(type: string, fields: Record<string, unknown> = {}): Promise<T> {
    const control = await this.control();
    try {
      return await control.request<T>(type, fields);
    } finally {
      control.close();
    }
  }

  /** A connection for many requests, until it is closed or lost. */
  async control(): Promise<Control> {
    const { url, token } = this.options;
    const control = await openControl(socketAddress(url, "v1/control"), this.sockets);
    if (typeof token !== "string") return control;
    try {
      await control.request("authenticate", { token });
      return control;
    } catch (error) {
      control.close();
      throw error;
    }
  }

  private entrance(path: string, role: Role, query: Record<string, string> = {}): Entrance {
    return {
      address: async () =>
        socketAddress(this.options.url, path, { ...query, ...(await this.once(role)) }),
      refusal: async (address) =>
        new URL(address).searchParams.has("token") ? null : this.refusal(role),
    };
  }

  /** What the server says to whoever asks for that role without a token. */
  private async refusal(role: Role): Promise<ServerError | null> {
    try {
      await this.exchanged(role);
      return null;
    } catch (error) {
      return error instanceof ServerError && error.code === "unauthorised" ? error : null;
    }
  }

  /** A token that opens one connection, as a part of its address. */
  private async once(role: Role): Promise<Record<string, string>> {
    const { token, url } = this.options;
    if (token === undefined) return {};
    if (typeof token === "string") return this.exchanged(role);
    try {
      const given = await token(role);
      return given ? { token: given } : {};
    } catch (cause) {
      const message = `no token for ${serverOf(url)}: its function says: ${told(cause)}`;
      throw new ConnectionFailed(message, { cause });
    }
  }

  private async exchanged(role: Role): Promise<Record<string, string>> {
    const control = await this.control();
    try {
      const { token } = await control.request<{ token: string }>("url_token", { role });
      return { token };
    } finally {
      control.close();
    }
  }
}
