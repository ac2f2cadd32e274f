"""How many bits a second a codec's tokens cost a language model, against what the codec does to the sound."""
