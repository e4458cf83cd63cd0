"""The command line: words, flags and exit codes. Imports Typer; knows no SQL, no thread, no colour."""
