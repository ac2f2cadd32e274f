"""The losses that a run may count, by name and kind."""

RECONSTRUCTION = ("mel", "log_mel", "scale_mel", "loudness", "stft", "complex_stft", "phase")
TEACHER = ("teacher",)
PITCH = ("pitch",)
QUANTIZER = ("commitment", "codebook")
ADVERSARIAL = ("adversarial", "feature_matching")
LANGUAGE = ("bridge", "future_tokens", "alignment", "contrast")
# Whose gradients reach the codec through the decoded wave alone, so that they can be balanced there (`balance`).
ON_WAVE = (*RECONSTRUCTION, *TEACHER, *ADVERSARIAL)
LOSSES = (*RECONSTRUCTION, *TEACHER, *PITCH, *QUANTIZER, *ADVERSARIAL, *LANGUAGE, "prior")
