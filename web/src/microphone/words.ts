/** Why a microphone gives no sound, in words. */

import type { Fault, MicrophoneProblem } from "voxwatch-client";
import { duration } from "../words";

export const MICROPHONE: Record<MicrophoneProblem, string> = {
  insecure:
    "Browsers allow the microphone only on a secure page. Open this page as https:// or on the server's own machine as http://localhost.",
  denied:
    "The microphone is not allowed. Allow it for this page (the icon beside the address), then try again.",
  missing: "No microphone was found. Plug one in, then try again.",
  busy: "The microphone is in use by another program. Close that, then try again.",
  unsupported: "This browser cannot record here. Use a current Firefox, Chrome, Edge or Safari.",
  suspended: "The browser has not started its sound. Click the button once more.",
};

export const FAULTS: Record<Fault, { title: string; advice: string; was: string }> = {
  paused: {
    title: "Sound interrupted",
    advice: "A call, another program or sleep has stopped this browser's sound. It goes on by itself.",
    was: "the browser's sound was interrupted",
  },
  muted: {
    title: "Microphone muted",
    advice: "By its switch, the system or the browser. Unmute it: it goes on by itself.",
    was: "the microphone was muted",
  },
  unplugged: {
    title: "Microphone gone",
    advice: "Plug it in again, or choose another: it goes on by itself.",
    was: "the microphone was gone",
  },
  busy: {
    title: "Microphone in use elsewhere",
    advice: "Another program has it. Close that: it goes on by itself.",
    was: "another program had the microphone",
  },
  stopped: {
    title: "The microphone gives no sound",
    advice: "It is opened again. If it stays like this, choose another.",
    was: "the microphone gave nothing",
  },
};

/** Why no sound comes just now, and what can be done. */
export function faultWords(fault: Fault): { title: string; advice: string } {
  return FAULTS[fault];
}

/** What an interruption was, once it is over. */
export function interruptionWords(fault: Fault, away_s: number): string {
  return `No sound for ${duration(away_s)}: ${FAULTS[fault].was}`;
}

export function microphoneProblem(problem: MicrophoneProblem): string {
  return MICROPHONE[problem];
}
