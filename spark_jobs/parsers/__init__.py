"""From bytes to normalised text with its headings: one reader per format, chosen by MIME type in `parse`."""
