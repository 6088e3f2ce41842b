"""What can be wrong with training data, one idea a module: plain functions over rows, without Django.

A check gets its rows as columns (`facts.Facts`, computed once for each row and kept) and returns what it found
(`results.Found`): items, each with the rows that make it up and a key that stays the same in later reports.
"""
