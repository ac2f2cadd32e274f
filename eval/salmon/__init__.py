"""SALMon: does a language model over a codec's tokens find the coherent one of two recordings more likely?"""
