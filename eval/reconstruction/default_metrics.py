"""The metrics of a run that names none; a file of its own, so that `--help` shows them without importing any."""

DEFAULT = ("mel", "stft", "pesq", "stoi", "f0corr")
