/** What is wrong with what the wall shows, in words for its top. */

import type { Status } from "voxwatch-client";
import { notLetIn } from "../headline";
import type { Server } from "../server";
import { timeOfDay } from "../times";

export interface Shown {
  /** What is shown is of now. */
  connected: boolean;
  /** Everything that the server has was taken in once. */
  known: boolean;
  /** Why incidents cannot be told; "" while they can. */
  refused: string;
  /** Seconds since 1970 at which something was last told; null: nothing was. */
  heardAt: number | null;
}

/** One sentence or two; "" where nothing is wrong. */
export function troubleWords(server: Server, { connected, known, refused, heardAt }: Shown): string {
  if (server.setting) return notLetIn(server.setting);
  if (server.connected && !server.may("monitor")) {
    return "Nothing is shown without a token of the role monitor. Load the page anew to enter one.";
  }
  if (refused) return `Incidents cannot be told: ${refused}`;
  if (connected) return recordTrouble(server.status?.record);
  if (!known || heardAt === null) return "";
  return `Not connected. What you see was so at ${timeOfDay(heardAt)}. It is tried again by itself.`;
}

/** What keeps the record from being written; "" while nothing does. */
export function recordTrouble(record: Status["record"]): string {
  if (!record?.failing) return "";
  const lost = record.lost ? `, ${record.lost} are lost` : "";
  return `The server cannot write the record just now: ${record.waiting ?? 0} entries wait${lost}. Decisions go on.`;
}
