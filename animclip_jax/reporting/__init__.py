"""The report page: read a run, put its numbers into words and charts, lay out one HTML file."""
