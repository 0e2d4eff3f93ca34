"""Take home: one self-contained HTML file and the CSV of what the charts show."""
