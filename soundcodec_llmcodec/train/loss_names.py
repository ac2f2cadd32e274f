"""The losses that a run may count, by name and kind."""

from collections.abc import Mapping

RECONSTRUCTION = ("mel", "log_mel", "scale_mel", "loudness", "stft", "complex_stft", "phase")
TEACHER = ("teacher",)
PITCH = ("pitch",)
SEMANTIC = ("semantic",)
QUANTIZER = ("commitment", "codebook")
ADVERSARIAL = ("adversarial", "feature_matching")
LANGUAGE = ("bridge", "future_tokens", "alignment", "contrast")
# Whose gradients reach the codec through the decoded wave alone, so that they can be balanced there (`balance`).
ON_WAVE = (*RECONSTRUCTION, *TEACHER, *ADVERSARIAL)
LOSSES = (*RECONSTRUCTION, *TEACHER, *PITCH, *SEMANTIC, *QUANTIZER, *ADVERSARIAL, *LANGUAGE, "prior")
ABOUT_LOSSES: Mapping[str, str] = {
    "mel": "L1 of logarithmic mel magnitudes over several windows (DAC's, Codec-SUPERB's)",
    "log_mel": "L1 of ln of the power in 100 mel bands of each wave at an RMS of 1 (LLM-Codec's main loss)",
    "scale_mel": "L1 of ln of the power in 80 mel bands over three windows (LLM-Codec's)",
    "loudness": "L1 of square roots of mel magnitudes, relative to the target's",
    "stft": "spectral convergence and L1 of ln |STFT| over several windows (Parallel WaveGAN)",
    "complex_stft": "as stft, with half the L1 of unit phasors (LLM-Codec's)",
    "phase": "distance of unit phasors, weighted by the target's magnitudes",
    "teacher": "L1 between states of the frozen speech encoder `teacher` of target and decoded wave",
    "pitch": "cross-entropy of the harmonic source's pitch (needs codec.harmonics)",
    "semantic": "mean square error of X-Codec's semantic decoder: what the speech encoder of codec.semantic.join, else "
    "`teacher`, hears, rebuilt from the features after the codebook",
    "commitment": "draws the encoder's latents to their code vectors",
    "codebook": "draws code vectors to the encoder's latents",
    "adversarial": "what the discriminators make of the decoded wave",
    "feature_matching": "L1 between the discriminators' features of target and decoded wave",
    "bridge": "cross-entropy of the bridge's logits against the codec's codes",
    "future_tokens": "cross-entropy of the heads on the LLM's last state against tokens ahead",
    "alignment": "1 - cosine between the LLM's states of a clip and of its text",
    "contrast": "contrastive loss of a clip's state against other texts",
    "prior": "cross-entropy of the encoder's choice under the causal prior that trains with it",
}
