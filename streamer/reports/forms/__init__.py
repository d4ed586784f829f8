"""A report as HTML, PDF, CSV and ZIP. Nothing here reads a record: it is given a report."""
