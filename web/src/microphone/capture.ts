/**
 * AudioWorklet: one channel of the microphone as Int16 PCM at the context's own rate, in pieces
 * of 100 ms.
 *
 * Runs on the audio thread, where nothing may be waited for.
 */

import { ChannelChoice } from "./channel";

declare const sampleRate: number;
declare function registerProcessor(name: string, processor: unknown): void;
declare class AudioWorkletProcessor {
  readonly port: MessagePort;
}

// A whole number of waveform steps (20 ms), so that no piece ends within one.
const PIECE_SAMPLES = 5 * Math.round(sampleRate / 50);

class Capture extends AudioWorkletProcessor {
  private readonly choice = new ChannelChoice(sampleRate);
  private piece = new Int16Array(PIECE_SAMPLES);
  private filled = 0;

  process(inputs: Float32Array[][]): boolean {
    const channel = this.choice.choose(inputs[0] ?? []);
    if (channel) for (const sample of channel) this.add(sample);
    return true;
  }

  private add(sample: number): void {
    this.piece[this.filled] = Math.round(Math.max(-1, Math.min(1, sample)) * 32767);
    this.filled += 1;
    if (this.filled < this.piece.length) return;
    this.port.postMessage(this.piece.buffer, [this.piece.buffer]);
    this.piece = new Int16Array(PIECE_SAMPLES);
    this.filled = 0;
  }
}

registerProcessor("capture", Capture);
