"""What definitions.py declares, built from the table contracts; Feast itself never reads this folder."""
