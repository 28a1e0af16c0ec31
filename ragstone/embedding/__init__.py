"""From text to vector: what vectors mean, the port encoders stand behind, and the encoders."""
