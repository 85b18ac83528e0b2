"""The versions on a volume: listing, comparing and removing them."""
