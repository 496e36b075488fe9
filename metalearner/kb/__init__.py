"""Behind `metalearner kb`: the base made larger, taught from, and judged with each past data set in turn as if it were new."""
