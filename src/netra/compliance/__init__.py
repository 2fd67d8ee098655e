"""`netra check`: finds where a code base has more than one truth. Imports nothing else of netra."""
