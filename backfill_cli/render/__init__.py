"""From results to text: the human screens (Rich), the JSON document, live progress. Knows no flag and no database."""
