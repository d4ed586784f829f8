/** When a page is drawn: with a frame, and however many changes come until then cost one drawing. */
export class Drawing {
  private scheduled = false;
  private drawn = -Infinity;

  /**
   * `each_ms` lies between two drawings at least. A page out of sight has no frames: it is drawn when
   * it is seen again, or `unseen` as well.
   */
  constructor(
    private readonly draw: () => void,
    private readonly each_ms: number,
    private readonly unseen = false,
  ) {}

  /** Draw soon; with the next frame where that is urgent. */
  ask(urgent = false): void {
    if (this.scheduled && !urgent) return;
    this.scheduled = true;
    const wait = urgent ? 0 : Math.max(0, this.drawn + this.each_ms - performance.now());
    const run = (): void => this.run();
    window.setTimeout(() => {
      if (this.unseen && document.hidden) run();
      else window.requestAnimationFrame(run);
    }, wait);
  }

  private run(): void {
    if (!this.scheduled) return; // something urgent came first
    this.scheduled = false;
    this.drawn = performance.now();
    this.draw();
  }
}
