"""What semantics in a codec's tokens do for those who use the tokens."""
