"""All access to Feast: the store, the offline store over the lake, materializing, online reads, training sets."""
