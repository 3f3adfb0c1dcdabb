"""The hub watches itself: what is the matter, told once to the operator, and taken back when it is over."""
