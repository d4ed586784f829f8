/** What a candidate's page asks of the server: whose link it is, and addresses of sockets. */

import { socketAddress } from "../address";
import { Control, ControlError, type Role } from "../control";
import type { Address } from "../live";

export interface Kept {
  what: string;
  how_long: string;
}

export interface Consent {
  text_version: string;
  text: string;
  text_sha256: string;
  language: string;
  kept: Kept[];
}

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
}

export type Standing = "connecting" | "there" | "away" | "refused";

export class CandidateServer {
  seat: Seat | null = null;
  standing: Standing = "connecting";
  private readonly control: Control;

  /** `onChange`: the seat, or how the server stands, is another. */
  constructor(
    private readonly token: string,
    private readonly onChange: () => void,
  ) {
    this.control = new Control(
      socketAddress(document.baseURI, "v1/control"),
      () => void this.greet(),
      () => this.stand("away"),
    );
    this.control.connect();
  }

  /** Makes a socket's address, with a token that opens it once. */
  address(path: string, role: Role): Address {
    return async () => {
      const { token } = await this.control.ask<{ token: string }>("url_token", { role });
      return socketAddress(document.baseURI, path, { token });
    };
  }

  /** Ask anew how it stands. */
  async refresh(): Promise<Seat> {
    this.seat = await this.control.ask<Seat>("seat");
    this.stand("there");
    return this.seat;
  }

  async withdraw(): Promise<void> {
    await this.control.ask("withdraw");
    await this.refresh();
  }

  private async greet(): Promise<void> {
    try {
      await this.control.ask("authenticate", { token: this.token });
      await this.refresh();
    } catch (error) {
      if (!(error instanceof ControlError)) throw error;
      // Else it went away in the middle, and is greeted again when it is back.
      if (error.code === "unauthorised") this.stand("refused");
    }
  }

  private stand(standing: Standing): void {
    this.standing = standing;
    this.onChange();
  }
}
