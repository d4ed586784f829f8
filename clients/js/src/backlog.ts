/**
 * Sound that may have to be sent again, as one line of bytes from the start of a session: its
 * newest part is held, whether or not it was sent.
 */

type Bytes = Uint8Array<ArrayBuffer>;

export class Backlog {
  /** Bytes of this session made so far. */
  made = 0;
  /** Bytes of this session given to a socket. */
  sent = 0;
  private pieces: Bytes[] = [];
  private held = 0; // bytes in `pieces`, the last of which ends at `made`

  get unsent(): number {
    return this.made - this.sent;
  }

  add(bytes: Bytes): void {
    this.pieces.push(bytes);
    this.held += bytes.length;
    this.made += bytes.length;
  }

  /** All of it is of no use any more. */
  clear(): void {
    this.pieces = [];
    this.held = this.made = this.sent = 0;
  }

  /** A new session, which begins with what is held from the position on: so many bytes. */
  restart(from: number): number {
    const kept = Math.min(this.made - from, this.held);
    this.dropUntil(this.made - kept);
    this.made = kept;
    this.sent = 0;
    return kept;
  }

  /**
   * Forget the oldest past `keep` bytes. What of it was never sent is lost: so many bytes, which
   * ended `ago` bytes before the newest.
   */
  trim(keep: number): { lost: number; ago: number } {
    if (this.held > keep) this.dropUntil(this.made - keep);
    const lost = Math.max(0, this.made - this.held - this.sent);
    this.made -= lost; // the server never counts these bytes
    return { lost, ago: this.held };
  }

  /** What was not sent before the position, which now counts as sent. */
  take(until: number): Bytes[] {
    const end = Math.min(until, this.made);
    const taken: Bytes[] = [];
    let start = this.made - this.held;
    for (const piece of this.pieces) {
      const from = Math.max(0, this.sent - start);
      const to = Math.min(piece.length, end - start);
      if (from < to) taken.push(piece.subarray(from, to));
      start += piece.length;
    }
    this.sent = Math.max(this.sent, end);
    return taken;
  }

  /** Forget whole pieces up to a position. */
  private dropUntil(position: number): void {
    let start = this.made - this.held;
    while (this.pieces[0] && start + this.pieces[0].length <= position) {
      const piece = this.pieces.shift()!;
      start += piece.length;
      this.held -= piece.length;
    }
  }
}
