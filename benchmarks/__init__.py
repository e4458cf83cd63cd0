"""What bfill costs, as ratios against yardsticks measured in the same run: `python -m benchmarks`, see README.md."""
