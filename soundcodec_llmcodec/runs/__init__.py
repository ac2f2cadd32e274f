"""What any training run is, of a codec or of a language model: its folder, config, checkpoints, log and processes."""
