"""Truth over time: answers of a past day, replays of what was asked, and what other settings would have answered."""
