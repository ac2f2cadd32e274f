"""What single-file HTML pages are made of: markup, PNG images, spectrograms, axes, the file itself."""
