"""A run and what it found, told in a terminal, on a page, in pictures."""
