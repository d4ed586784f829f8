/** A stream of somebody else, as a monitor of the server sees it. */

import type { Link } from "../headline";
import type { Source, Transport } from "../source";
import { joined, reduce, rejoined } from "../state";
import { emptyView, type View } from "../view";
import { Waveform } from "../waveform";
import type { Monitor, MonitorMessage, MonitorReady, Voxwatch } from "voxwatch-client";

export class WatchSource implements Source {
  readonly kind = "watch";
  readonly waveform = new Waveform();
  view: View = emptyView();
  peak = 0;
  private over = false;
  private latency_s: number | null = null;
  private readonly monitor: Monitor;

  constructor(
    readonly stream: string,
    voxwatch: Voxwatch,
    changed: () => void,
  ) {
    this.monitor = voxwatch.monitor({ stream, levels: true, patience_s: Infinity });
    this.monitor.on("message", (message) => this.told(message));
    this.monitor.on("moved", changed);
  }

  get transport(): Transport {
    const { latency_s } = this;
    const { reconnects } = this.monitor;
    return { latency_s, unsent_s: 0, lost_s: 0, reconnects, restarts: 0, sampleRate: null };
  }

  link(at: number): Link {
    return {
      source: "watch",
      phase: this.over ? "ended" : this.monitor.phase,
      retryIn_s: Math.max(0, this.monitor.retryAt - at),
      tries: this.monitor.tries,
      kept_s: 0,
      problem: "",
      interruption: null,
    };
  }

  hurry(): void {
    this.monitor.hurry();
  }

  /** The server does not answer. */
  renew(): void {
    this.monitor.renew();
  }

  stop(): void {
    this.leave();
  }

  leave(): void {
    this.over = true;
    this.peak = 0;
    this.monitor.close();
  }

  private told(message: MonitorMessage): void {
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

  private ready(message: MonitorReady): void {
    const entry = message.streams.find(({ stream }) => stream === this.stream);
    if (!entry) {
      this.leave();
      return;
    }
    const again = this.view.stream === entry.stream;
    this.view = { ...(again ? rejoined(this.view, entry) : joined(entry)), server: message.server };
  }
}

