"""Pure values and rules: no files, clocks, threads, SQL or colours. Time comes in as an argument."""
