"""What people print, sign and keep: HTML and PDF of transcripts, share sheets and reports, the same bytes each time."""
