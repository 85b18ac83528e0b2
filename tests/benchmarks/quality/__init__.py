"""Compare our models with independent ones on public data sets, on the same split.

`independent` reads the sets, splits them, tunes simple models and measures them. It imports nothing of
this project but this folder. `ours` trains with `lightfm-trainer` on the same file, and measures what
was published in the same way.
"""
