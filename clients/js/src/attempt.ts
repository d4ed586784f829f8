/** One attempt at a connection: from the token of its address to the end of its socket. */

import { ConnectionFailed, ServerError } from "./errors.js";
import {
  dial,
  forsake,
  OPEN,
  unreachable,
  type Entrance,
  type Socket,
  type SocketConstructor,
} from "./network.js";

export interface AttemptListener {
  opened(): void;
  received(text: string): void;
  /** It was open and is over. */
  closed(): void;
  /** It never opened. `why` is thrown by whoever gives the address, or says what is known. */
  failed(why: unknown): void;
}

export class Attempt {
  private url: string | null = null;
  private socket: Socket | null = null;
  private over = false;

  constructor(
    private readonly entrance: Entrance,
    private readonly sockets: SocketConstructor,
    private readonly listener: AttemptListener,
  ) {
    void this.open();
  }

  /** The address that was dialled; null before there is one. */
  get address(): string | null {
    return this.url;
  }

  /** What can be said where it is not waited for any longer. */
  get lateness(): ConnectionFailed {
    if (this.url !== null) return unreachable(this.url);
    return new ConnectionFailed("no token came for the connection: does the server answer?");
  }

  /** Bytes that wait in the socket. */
  get waiting(): number {
    return this.socket?.bufferedAmount ?? 0;
  }

  /** Does nothing where it is not open. */
  send(data: string | Uint8Array<ArrayBuffer>): void {
    if (this.socket?.readyState === OPEN) this.socket.send(data);
  }

  /** Leave it: the listener is told nothing more, also of what had begun. */
  close(): void {
    this.over = true;
    if (this.socket) forsake(this.socket);
    this.socket = null;
  }

  private async open(): Promise<void> {
    try {
      const url = await this.entrance.address();
      if (this.over) return;
      this.url = url;
      this.listen(dial(this.sockets, url), url);
    } catch (error) {
      this.fail(error);
    }
  }

  private listen(socket: Socket, url: string): void {
    const { listener } = this;
    let opened = false;
    this.socket = socket;
    socket.onopen = () => {
      opened = true;
      listener.opened();
    };
    socket.onmessage = ({ data }) => listener.received(String(data));
    socket.onclose = () => {
      if (!opened) return void this.askWhy(url);
      this.close();
      listener.closed();
    };
  }

  /** The server is not there, or lets nobody in, which a browser does not tell. */
  private async askWhy(url: string): Promise<void> {
    this.fail((await this.entrance.refusal(url)) ?? unreachable(url));
  }

  private fail(why: unknown): void {
    if (this.over) return;
    this.close();
    this.listener.failed(why);
  }
}

/** Whether the server lets nobody in with this token, so that no other attempt would help. */
export function isRefused(why: unknown): why is ServerError {
  return why instanceof ServerError && why.code === "unauthorised";
}
