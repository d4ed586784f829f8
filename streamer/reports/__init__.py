"""Reports of a candidate and of an exam, made from the record, and all that is held of a person."""
