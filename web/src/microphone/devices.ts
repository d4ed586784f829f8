/** The microphones of this browser, and which of them was chosen. */

import { keep, kept } from "../dom";

type Device = Pick<MediaDeviceInfo, "kind" | "deviceId" | "groupId" | "label">;

export interface Choice {
  /** Null: the browser's default. */
  id: string | null;
  label: string;
}

export class Devices {
  chosen: string | null = kept("localStorage", "microphone");
  choices: Choice[] = choices([]);
  private readonly listeners: (() => void)[] = [];

  constructor() {
    navigator.mediaDevices?.addEventListener("devicechange", () => void this.refresh());
    void this.refresh();
  }

  onChange(listener: () => void): void {
    this.listeners.push(listener);
  }

  /** Names are told only once a microphone has been allowed. */
  async refresh(): Promise<void> {
    this.choices = choices((await navigator.mediaDevices?.enumerateDevices()) ?? []);
    this.changed();
  }

  choose(id: string | null): void {
    this.chosen = id;
    keep("localStorage", "microphone", id);
    this.changed();
  }

  private changed(): void {
    for (const listener of this.listeners) listener();
  }
}

/** The default first, then each microphone once. */
export function choices(devices: readonly Device[]): Choice[] {
  const named = devices.filter(
    ({ kind, deviceId, label }) =>
      kind === "audioinput" && deviceId && label && !ALIASES.has(deviceId),
  );
  const found = named.map(({ deviceId, label }) => ({ id: deviceId, label }));
  return [{ id: null, label: "The browser's default" }, ...found];
}

// Names under which Chromium lists some device a second time.
const ALIASES = new Set(["default", "communications"]);
