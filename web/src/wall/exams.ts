/** What no event tells of exams: which there are, who is on a roster, and who was there before. */

import { VoxwatchError } from "voxwatch-client";
import type { Board, RecordedStream, RosterLine } from "./board";
import type { Ask } from "./reader";

const SOON_MS = 1000; // after somebody left

interface ExamLine {
  exam: string;
  name: string;
  /** Earlier servers do not say these. */
  ends_at?: number;
  ended_at?: number | null;
}

export class Exams {
  private lines: ExamLine[] = [];
  private timer = 0;

  /** `chosen`: the id of the exam that is shown, "" for all streams. */
  constructor(
    private readonly ask: Ask,
    private readonly board: Board,
    private readonly chosen: () => string,
    private readonly changed: () => void,
  ) {}

  /** By their ids; those of which only a stream tells, too. */
  names(): Map<string, string> {
    const names = new Map(this.lines.map(({ exam, name }) => [exam, name]));
    for (const exam of this.board.exams()) {
      if (!names.has(exam)) names.set(exam, `Exam ${exam.slice(0, 8)}`);
    }
    return names;
  }

  /** When an exam is to end, in seconds since 1970; null: it has, or that is not known. */
  endOf(id: string): number | null {
    const found = this.lines.find(({ exam }) => exam === id);
    return found?.ended_at ? null : (found?.ends_at ?? null);
  }

  /** Take in all of it, of the exam that is chosen now. */
  async read(): Promise<void> {
    const exam = this.chosen();
    try {
      const exams = this.ask<ExamLine[]>("exam-list");
      if (exam) {
        const [{ roster }, recorded] = await Promise.all([
          this.ask<{ roster: RosterLine[] }>("exam-show", { exam }),
          this.ask<RecordedStream[]>("recorded", { exam }),
        ]);
        this.board.enrol(exam, roster);
        this.board.remember(exam, recorded);
      }
      this.lines = await exams;
    } catch (error) {
      // Without exams there are still streams, which is what the wall shows then.
      if (!(error instanceof VoxwatchError)) throw error;
    }
  }

  /** Of several who leave at once it is read once. */
  readSoon(): void {
    window.clearTimeout(this.timer);
    this.timer = window.setTimeout(() => void this.read().then(this.changed), SOON_MS);
  }

  /** Nothing tells that somebody has opened their link, or is enrolled. */
  lookForAbsent(): void {
    const exam = this.chosen();
    if (exam && this.board.all(exam).some(({ streams }) => streams.length === 0)) this.readSoon();
  }
}
