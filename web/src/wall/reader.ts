/** Reads the record of one stream from its first second, and goes on while it is open. */

import { VoxwatchError } from "voxwatch-client";
import { StreamRecord, type Page } from "./record";

const AGAIN_MS = 1500; // between two looks at a stream that goes on

export type Ask = <T>(type: string, fields?: Record<string, unknown>) => Promise<T>;

export class Reader {
  readonly record: StreamRecord;
  /** Why nothing can be read; "" while it can. */
  problem = "";
  private left = false;
  private reading = false;
  private wanted = false;
  private timer = 0;

  constructor(
    stream: string,
    candidate: string,
    private readonly ask: Ask,
    private readonly changed: () => void,
  ) {
    this.record = new StreamRecord(stream, candidate);
    void this.read();
  }

  /** Something new is known to be there. */
  hurry(): void {
    this.wanted = true;
    if (!this.reading) void this.read();
  }

  leave(): void {
    this.left = true;
    window.clearTimeout(this.timer);
  }

  private async read(): Promise<void> {
    window.clearTimeout(this.timer);
    this.reading = true;
    do {
      this.wanted = false;
      await this.pages();
    } while (this.wanted && !this.left);
    this.reading = false;
    if (this.left || this.record.endedAt !== null) return;
    this.timer = window.setTimeout(() => void this.read(), AGAIN_MS);
  }

  /** All that is there by now. */
  private async pages(): Promise<void> {
    try {
      for (let more = true; more && !this.left; ) {
        const { stream, after } = this.record;
        const page = await this.ask<Page>("history", { stream, after });
        if (this.left) return;
        more = page.more;
        this.problem = "";
        this.record.take(page);
        if (page.entries.length > 0 || !more) this.changed();
      }
    } catch (error) {
      if (!(error instanceof VoxwatchError)) throw error;
      this.problem = error.code === "connection-failed" ? "" : error.message; // gone: read on when it is back
      this.changed();
    }
  }
}
