"""The architecture, a file per part: stft, conformer, quantizer, model."""
