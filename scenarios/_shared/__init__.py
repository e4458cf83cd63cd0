"""What the scenarios share: a stage to play on, a voice to tell with, toys to play with. A lesson stays in its file.

`demo.py` is what a scenario imports: `scenario`, `play`, `Demo`. `warehouse.py` is a small real database.
"""
