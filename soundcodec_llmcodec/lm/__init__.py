"""Language models over codes: frozen backbones and vocabularies extended by "<CODEC_i>". Needs the extra `lm`."""
