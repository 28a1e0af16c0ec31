"""Cutting documents into chunks: on structure, within the encoder's reach, at places that an edit elsewhere keeps."""
