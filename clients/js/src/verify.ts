/** A whole recording to a server, one verdict back. */

import { ConnectionFailed, ServerError } from "./errors.js";
import { DEFAULTS, type Encoding, type Refusal, type Verdict } from "./messages.js";
import { serverOf, told } from "./network.js";

export interface VerifyOptions {
  claim?: string | string[];
  /** Raw PCM has this, a rate in Hz or channels. */
  encoding?: Encoding;
  sample_rate?: number;
  channels?: number;
  channel?: number;
  false_accept?: number;
  miss?: number;
}

/** What a recording is: WAV, FLAC or Ogg as it is, or raw PCM, of at most 60 s. */
export type WholeRecording = Blob | ArrayBuffer | ArrayBufferView<ArrayBuffer>;

/** The query of a request for a verdict. */
export function verifyQuery(options: VerifyOptions): Record<string, string> {
  const { claim, ...rest } = options;
  const given = Object.entries(rest).filter(([, value]) => value !== undefined);
  const query = Object.fromEntries(given.map(([name, value]) => [name, String(value)]));
  if (!claim || claim.length === 0) return query;
  return { ...query, claim: typeof claim === "string" ? claim : JSON.stringify(claim) };
}

/** Ask for the verdict. Rejects with a `VoxwatchError`. */
export async function verifyAt(
  url: string,
  token: string | null,
  recording: WholeRecording,
  fetcher: typeof fetch,
): Promise<Verdict> {
  let answer: Response;
  try {
    answer = await fetcher(url, {
      method: "POST",
      body: recording as BodyInit,
      headers: {
        "Content-Type": "application/octet-stream",
        ...(token ? { Authorization: `Bearer ${token}` } : {}),
      },
    });
  } catch (cause) {
    const advice = "is it running, and is this page one of its own?";
    const message = `no verdict from ${serverOf(url)} (${told(cause)}): ${advice}`;
    throw new ConnectionFailed(message, { cause });
  }
  const said: unknown = await answer.json().catch(() => null);
  if (!answer.ok) throw refusalOf(answer, said);
  const verdict = { ...DEFAULTS.verdict, ...(said as Verdict) };
  const turns = verdict.turns.map((turn) => ({ ...DEFAULTS.utterance, ...turn }));
  return { ...verdict, turns };
}

function refusalOf(answer: Response, said: unknown): ServerError {
  const error = (said as Partial<Refusal> | null)?.error;
  if (!error) {
    const message = "the server does not answer as voxwatch does: is this its address?";
    return new ServerError(`http-${answer.status}`, message);
  }
  const retry = Number(answer.headers.get("Retry-After") ?? NaN);
  return new ServerError(error.code, error.message, Number.isNaN(retry) ? null : retry);
}
