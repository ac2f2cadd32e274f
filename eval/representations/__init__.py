"""What a clip looks like to a measurement of representations: vectors by frames, of codecs, encoders and spectra."""
