"""Makes suites of pairs that differ in one thing: the speaker, the emotion, the room or the background."""
