/** What a connection says, to listeners by kind and to whoever iterates over it. */

import { VoxwatchError } from "./errors.js";

/** Messages that nobody has read: half an hour of them. */
const UNREAD = 4096;

/** What every channel tells beside the server's messages. */
export interface ChannelEvents<M> {
  /** Each message of the server, whatever its type. */
  message: M;
  /** The connection may be in another phase. */
  moved: undefined;
  /** It is over, and this is why. */
  failed: VoxwatchError;
  /** It is over, as it was meant to be. */
  ended: undefined;
}

/** Listeners by the type of a message. */
export type ByType<M extends { type: string }> = { [K in M["type"]]: Extract<M, { type: K }> };

type Waiting<M> = {
  resolve(result: IteratorResult<M, undefined>): void;
  reject(error: VoxwatchError): void;
};

export abstract class Channel<M extends { type: string }, Own extends object = object>
  implements AsyncIterable<M>
{
  /** Why it failed; null while it has not. */
  failure: VoxwatchError | null = null;
  private isOver = false;
  private readonly listeners = new Map<PropertyKey, Set<(told: never) => void>>();
  private readonly unread: M[] = [];
  private readonly waiting: Waiting<M>[] = [];
  private iterated = false;

  /** It says nothing more. */
  get over(): boolean {
    return this.isOver;
  }

  /** Call `listener` for every message of a type, and for what the client itself tells; until the
   * returned function is called. */
  on<K extends keyof (ByType<M> & ChannelEvents<M> & Own)>(
    kind: K,
    listener: (told: (ByType<M> & ChannelEvents<M> & Own)[K]) => void,
  ): () => void {
    const listeners = this.listeners.get(kind) ?? new Set();
    this.listeners.set(kind, listeners.add(listener));
    return () => void listeners.delete(listener);
  }

  /**
   * All messages from the first on, unless nobody began to read for 4,096 of them. Whoever reads
   * and falls so far behind ends it. It throws the `failure` at the end, where there is one.
   */
  [Symbol.asyncIterator](): AsyncIterator<M, undefined> {
    this.iterated = true;
    return {
      next: () => this.next(),
      return: () => Promise.resolve({ done: true, value: undefined }),
    };
  }

  /** Leave at once, and hear nothing more. */
  close(): void {
    if (!this.isOver) this.leave(null);
  }

  /** End the connection, and the channel with that failure. */
  protected abstract leave(failure: VoxwatchError | null): void;

  protected tell(message: M): void {
    this.emit(message.type as keyof ByType<M>, message as never);
    this.emit("message", message as never);
    const waiting = this.waiting.shift();
    if (waiting) return waiting.resolve({ done: false, value: message });
    if (this.unread.push(message) <= UNREAD) return;
    this.unread.shift();
    if (!this.iterated) return;
    const advice = "read them as they come";
    this.leave(new VoxwatchError("slow-reader", `${UNREAD} messages were not read: ${advice}`));
  }

  /** A listener that throws stops neither the others nor the connection. */
  protected emit<K extends keyof (ByType<M> & ChannelEvents<M> & Own)>(
    kind: K,
    told: (ByType<M> & ChannelEvents<M> & Own)[K],
  ): void {
    for (const listener of this.listeners.get(kind) ?? []) {
      try {
        listener(told as never);
      } catch (error) {
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }

  /** Nothing more comes; what is unread can still be read. */
  protected end(failure: VoxwatchError | null): void {
    if (this.isOver) return;
    this.isOver = true;
    this.failure = failure;
    for (const { resolve, reject } of this.waiting.splice(0)) {
      if (failure) reject(failure);
      else resolve({ done: true, value: undefined });
    }
    if (failure) this.emit("failed", failure as never);
    else this.emit("ended", undefined as never);
  }

  private next(): Promise<IteratorResult<M, undefined>> {
    const message = this.unread.shift();
    if (message) return Promise.resolve({ done: false, value: message });
    if (this.failure) return Promise.reject(this.failure);
    if (this.isOver) return Promise.resolve({ done: true, value: undefined });
    return new Promise((resolve, reject) => this.waiting.push({ resolve, reject }));
  }
}
