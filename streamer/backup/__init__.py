"""What a backup holds beside people: the record of streams, exams and rosters, attempts."""
