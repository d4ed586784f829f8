/** A stream of somebody else, as a monitor of the server sees it. */

import type { Link } from "../headline";
import type { Source, Transport } from "../source";
import { Watch, type Address } from "../live";
import { joined, reduce, rejoined } from "../state";
import { emptyView, type View } from "../view";
import { Waveform } from "../waveform";
import type { Message, Ready } from "../wire";

export class WatchSource implements Source {
  readonly kind = "watch";
  readonly waveform = new Waveform();
  view: View = emptyView();
  peak = 0;
  private over = false;
  private latency_s: number | null = null;
  private readonly watch: Watch;

  constructor(
    readonly stream: string,
    address: Address,
    changed: () => void,
  ) {
    this.watch = new Watch(address, {
      message: (message) => this.told(message),
      moved: changed,
    });
  }

  get transport(): Transport {
    const { latency_s } = this;
    const { reconnects } = this.watch;
    return { latency_s, unsent_s: 0, lost_s: 0, reconnects, restarts: 0, sampleRate: null };
  }

  link(at: number): Link {
    return {
      source: "watch",
      phase: this.over ? "ended" : this.watch.phase,
      retryIn_s: Math.max(0, this.watch.retryAt - at),
      tries: this.watch.tries,
      kept_s: 0,
      problem: "",
      interruption: null,
    };
  }

  hurry(): void {
    this.watch.hurry();
  }

  stop(): void {
    this.leave();
  }

  leave(): void {
    this.over = true;
    this.peak = 0;
    this.watch.leave();
  }

  private told(message: Message): void {
    switch (message.type) {
      case "ready":
        this.ready(message);
        return;
      case "closed":
        this.leave();
        return;
      case "level":
        this.waveform.pushUntil(message.t, message.peaks);
        this.peak = Math.max(0, ...message.peaks);
        break;
      case "score":
        this.latency_s = Math.max(0, this.view.media - message.t);
    }
    this.view = reduce(this.view, message);
  }

  private ready(message: Ready): void {
    const entry = message.streams.find(({ stream }) => stream === this.stream);
    if (!entry) {
      this.leave();
      return;
    }
    const again = this.view.stream === entry.stream;
    this.view = { ...(again ? rejoined(this.view, entry) : joined(entry)), server: message.server };
  }
}

