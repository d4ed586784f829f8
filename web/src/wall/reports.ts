/** The reports that the server makes of its record: of the open candidate, and of the exam. */

import { el, fetchFile, show } from "../dom";
import type { Server } from "../server";
import { toast } from "../views/toast";
import type { Seat } from "./seat";

export class Reports {
  private exam = "";
  private seat: Seat | null = null;

  constructor(private readonly server: Server) {
    el("exam-report").onclick = () => void this.keep(`exams/${this.exam}`);
    el("candidate-report").onclick = () => this.seat && void this.keepOf(this.seat);
  }

  /** What is shown just now: an exam ("": all streams), and who is open. */
  draw(exam: string, seat: Seat | null): void {
    Object.assign(this, { exam, seat });
    const { recorded } = this.server;
    show(el("exam-report"), recorded && exam !== "");
    show(el("candidate-report"), recorded && seat !== null && (seat.exam ?? seat.streams.at(-1) ?? "") !== "");
  }

  private async keepOf(seat: Seat): Promise<void> {
    if (seat.exam) await this.keep(`exams/${seat.exam}`, { candidate: seat.key });
    else await this.keep(`records/${seat.streams.at(-1) ?? ""}`);
  }

  private async keep(of: string, query: Record<string, string> = {}): Promise<void> {
    try {
      fetchFile(await this.server.report(`v1/${of}/report.zip`, query));
      toast("The report is being made.");
    } catch {
      toast("The server cannot be reached just now.");
    }
  }
}
