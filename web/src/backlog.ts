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

  /** A new session, which begins with what no session was given yet: so many bytes. */
  restart(): number {
    const unsent = Math.min(this.unsent, this.held);
    this.dropUntil(this.made - unsent);
    this.made = unsent;
    this.sent = 0;
    return unsent;
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

  /** What was not sent, which now counts as sent. */
  take(): Bytes[] {
    const taken: Bytes[] = [];
    let start = this.made - this.held;
    for (const piece of this.pieces) {
      const from = Math.max(0, this.sent - start);
      if (from < piece.length) taken.push(piece.subarray(from));
      start += piece.length;
    }
    this.sent = this.made;
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
