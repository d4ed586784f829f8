/** What a candidate's page asks of the server: whose link it is, and addresses of sockets. */

import { serverOf } from "../address";
import { Control, socketAddress, Voxwatch, VoxwatchError, type Role } from "voxwatch-client";
import { readHere } from "./language";

export interface Kept {
  what: string;
  how_long: string;
}

export interface Consent {
  text_version: string;
  text: string;
  text_sha256: string;
  /** In which the server shows it. */
  language: string;
  kept: Kept[];
}

/** Whether sound around what is marked may be kept, with the answer so far. */
export interface ClipsQuestion extends Consent {
  answer: "agreed" | "refused" | "unanswered";
}

export type ClipsAnswer = Pick<Consent, "text_sha256" | "language"> & { agreed: boolean };

/** A candidate's place in an exam. Times in seconds since 1970. */
export interface Seat {
  exam: string;
  name: string;
  starts_at: number;
  ends_at: number;
  ended_at: number | null;
  expires_at: number;
  enrolled: boolean;
  may_enrol: boolean;
  withdrawn: boolean;
  consent: Consent;
  /** Null where no sound is kept. */
  clips: ClipsQuestion | null;
}

export type Standing = "connecting" | "there" | "away" | "refused";

export class CandidateServer {
  seat: Seat | null = null;
  standing: Standing = "connecting";
  /** Streams and enrolments, each with a token that opens it once. */
  readonly voxwatch: Voxwatch;
  private readonly control: Control;

  /** `onChange`: the seat, or how the server stands, is another. */
  constructor(
    private readonly token: string,
    private readonly onChange: () => void,
  ) {
    const url = serverOf(document.baseURI);
    this.voxwatch = new Voxwatch({ url, token: (role) => this.once(role) });
    this.control = new Control(socketAddress(url, "v1/control"), WebSocket, {
      opened: () => void this.greet(),
      closed: () => this.stand("away"),
    });
    this.control.connect();
  }

  private async once(role: Role): Promise<string> {
    return (await this.control.request<{ token: string }>("url_token", { role })).token;
  }

  /** Ask anew how it stands. */
  async refresh(): Promise<Seat> {
    this.seat = await this.control.request<Seat>("seat", { languages: readHere() });
    this.stand("there");
    return this.seat;
  }

  async answerClips(answer: ClipsAnswer): Promise<void> {
    await this.control.request("clips", { ...answer });
    await this.refresh();
  }

  /** Sound that was kept is deleted, and no more is; all else goes on. */
  async withdrawClips(): Promise<void> {
    await this.control.request("withdraw", { clips: true });
    await this.refresh();
  }

  async withdraw(): Promise<void> {
    await this.control.request("withdraw");
    await this.refresh();
  }

  private async greet(): Promise<void> {
    try {
      await this.control.request("authenticate", { token: this.token });
      await this.refresh();
    } catch (error) {
      if (!(error instanceof VoxwatchError)) throw error;
      // Else it went away in the middle, and is greeted again when it is back.
      if (error.code === "unauthorised") this.stand("refused");
    }
  }

  private stand(standing: Standing): void {
    this.standing = standing;
    this.onChange();
  }
}
