"""A day on which something is wrong: right calibrations or a clear refusal, never wrong ones."""
