/** Does one thing after the other, where some of them have to wait. */
export class Queue {
  private pending = 0;
  private last: Promise<void> = Promise.resolve();

  /** Something waits or is being done. */
  get busy(): boolean {
    return this.pending > 0;
  }

  /** Do it after all that was added before. */
  add(run: () => void | Promise<void>): Promise<void> {
    this.pending += 1;
    const done = this.last.then(run).finally(() => (this.pending -= 1));
    this.last = done.catch(() => undefined); // whoever added it is told
    return done;
  }
}
