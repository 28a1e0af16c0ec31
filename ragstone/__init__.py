"""The library every part of Ragstone stands on; importing it does nothing."""
