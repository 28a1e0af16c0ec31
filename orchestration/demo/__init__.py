"""`ragstone demo`: the main job on text this machine already has, in six acts that assert what they show."""
