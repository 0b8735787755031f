"""What became of an import, for people: a report to look at, a workbook to correct."""
