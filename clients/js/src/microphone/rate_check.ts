/** Notices a headset that changed its rate in mid-stream: it sounds wrong until it is opened anew. */

import type { Quality } from "../messages.js";

const AGAIN_S = 60; // where opening it did not help it is not tried again at once

export class RateCheck {
  private last = -Infinity;

  /** Whether it is to be opened anew. */
  isWrong({ problems }: Quality, now: number): boolean {
    if (!problems.includes("rate-suspect") || now - this.last < AGAIN_S) return false;
    this.last = now;
    return true;
  }
}
