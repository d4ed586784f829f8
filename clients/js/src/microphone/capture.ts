/**
 * AudioWorklet: one channel of the microphone as Int16 PCM at the context's own rate, in pieces
 * of 100 ms.
 *
 * Runs on the audio thread, where nothing may be waited for. One file that imports nothing, so
 * that bundlers can hand it on as it is.
 */

declare const sampleRate: number;
declare function registerProcessor(name: string, processor: unknown): void;
declare class AudioWorkletProcessor {
  readonly port: MessagePort;
}

// A whole number of waveform steps (20 ms), so that no piece ends within one.
const PIECE_SAMPLES = 5 * Math.round(sampleRate / 50);

const MEMORY_S = 0.5;
const LOUDER = 4; // times the power (6 dB): a voice between two channels does not move the choice
const SILENT = 1e-9; // power of a channel that gives nothing, -90 dBFS

/**
 * Which of a microphone's channels is listened to: one of them, and never their sum, in which
 * channels of opposite phase cancel.
 */
export class ChannelChoice {
  private chosen = 0;
  private powers: number[] = [];

  constructor(private readonly sampleRate: number) {}

  /** The channel to take of the next samples: the one in use, until another is much louder. */
  choose(channels: readonly Float32Array[]): Float32Array | undefined {
    if (channels.length < 2) return channels[0];
    if (this.powers.length !== channels.length) {
      this.powers = channels.map(() => 0);
      this.chosen = 0;
    }
    channels.forEach((samples, i) => this.measure(samples, i));
    const loudest = this.powers.indexOf(Math.max(...this.powers));
    const [highest = 0, own = 0] = [this.powers[loudest], this.powers[this.chosen]];
    if (highest > SILENT && highest > LOUDER * own) this.chosen = loudest;
    return channels[this.chosen];
  }

  private measure(samples: Float32Array, i: number): void {
    let sum = 0;
    for (const sample of samples) sum += sample * sample;
    const power = sum / Math.max(1, samples.length);
    const share = Math.min(1, samples.length / (MEMORY_S * this.sampleRate));
    this.powers[i] = this.powers[i]! + share * (power - this.powers[i]!);
  }
}

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
