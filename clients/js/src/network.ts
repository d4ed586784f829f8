/** What the client takes of its surroundings: sockets, requests, a clock; and addresses. */

import { ConnectionFailed, type ServerError } from "./errors.js";

/** As much of a WebSocket as is used; that of browsers, of Node from 22 on, and of `ws` has it. */
export interface Socket {
  readonly readyState: number;
  readonly bufferedAmount: number;
  onopen: ((event: any) => void) | null;
  onmessage: ((event: any) => void) | null;
  onclose: ((event: any) => void) | null;
  onerror: ((event: any) => void) | null;
  send(data: string | Uint8Array<ArrayBuffer>): void;
  close(): void;
}

export type SocketConstructor = new (url: string) => Socket;

/** One of the server's addresses for sockets. */
export interface Entrance {
  /** The address; asks for a token that opens it once, where one is given. */
  address(): Promise<string>;
  /**
   * Why a socket to that address never opened, which a browser does not say: the server's words
   * where it wants a token and none was given; null: that it cannot be known.
   */
  refusal(address: string): Promise<ServerError | null>;
}

/** What may be done with a token. */
export type Role = "stream" | "enrol" | "monitor" | "admin";

export const OPEN = 1; // `readyState` of a socket
const SCHEMES: Record<string, string> = {
  "http:": "ws:",
  "https:": "wss:",
  "ws:": "ws:",
  "wss:": "wss:",
};

/** The WebSockets of this program. Throws a `ConnectionFailed` where there are none. */
export function socketsOf(given: SocketConstructor | undefined): SocketConstructor {
  const found = given ?? (globalThis as { WebSocket?: SocketConstructor }).WebSocket;
  if (found) return found;
  const advice = "npm install ws, and new Voxwatch({ url, WebSocket }) with its WebSocket";
  throw new ConnectionFailed(`Node has no WebSocket before 22: ${advice}`);
}

/** A socket to `url`. Throws a `ConnectionFailed` for what the browser does not even try. */
export function dial(sockets: SocketConstructor, url: string): Socket {
  try {
    const socket = new sockets(url);
    socket.onerror = () => undefined; // its end is told as well; `ws` throws what nobody hears
    return socket;
  } catch (cause) {
    const message = `${serverOf(url)} may not be connected to from here: ${told(cause)}`;
    throw new ConnectionFailed(message, { cause });
  }
}

/** Close a socket and hear no more of it: on a dead network its end comes late, or never. */
export function forsake(socket: Socket): void {
  socket.onopen = socket.onmessage = socket.onclose = null;
  socket.close();
}

/** The WebSocket address of `path` on the server at `url`, whatever path a proxy put it under. */
export function socketAddress(url: string, path: string, query: Record<string, string> = {}): string {
  const address = addressOf(url, path, query);
  address.protocol = SCHEMES[address.protocol]!;
  return address.href;
}

/** The same for a plain request. */
export function requestAddress(url: string, path: string, query: Record<string, string>): string {
  const address = addressOf(url, path, query);
  address.protocol = SCHEMES[address.protocol] === "wss:" ? "https:" : "http:";
  return address.href;
}

/** A server's address for people: without a password, a path and a token. */
export function serverOf(url: string): string {
  const { protocol, host } = new URL(url);
  return `${protocol}//${host}`;
}

/** That nobody answers at a socket's address: a browser does not say why. */
export function unreachable(url: string): ConnectionFailed {
  return new ConnectionFailed(
    `no server answers at ${serverOf(url)}, or it refuses: ` +
      "is it running, does it let this page in, and does the token hold?",
  );
}

/** Seconds of a clock that no one sets. */
export function now(): number {
  return performance.now() / 1000;
}

/** Call when the network is back, until it is called off. */
export function whenOnline(run: () => void): () => void {
  if (typeof window === "undefined") return () => undefined;
  window.addEventListener("online", run);
  return () => window.removeEventListener("online", run);
}

export function told(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function addressOf(url: string, path: string, query: Record<string, string>): URL {
  if (!URL.canParse(url) || !SCHEMES[new URL(url).protocol]) {
    throw new ConnectionFailed(`"${url}" is no address of a server: write https://HOST:PORT`);
  }
  const address = new URL(url);
  address.pathname = `${address.pathname.replace(/\/+$/, "")}/${path}`;
  address.hash = "";
  address.search = new URLSearchParams(query).toString();
  return address;
}
