"""The page of a study: rows of the database become its context, tab by tab."""
